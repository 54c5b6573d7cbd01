"""What people answered: the approval, what it left out, and what owners said."""
