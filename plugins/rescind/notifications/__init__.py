"""Messages to chat: notifiers for DingTalk, Feishu and Lark, WeCom and Teams, and the messages about runs.

A message only goes out. Nothing here receives anything, and no answer in a chat counts. A message that cannot be
delivered ends in a sentence in the log.
"""
