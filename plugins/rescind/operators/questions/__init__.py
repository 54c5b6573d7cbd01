"""What a review asks people: owners about their grants, approvers about the plan, and reminders of both."""
