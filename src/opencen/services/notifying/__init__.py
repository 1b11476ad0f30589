"""How alarms reach people: webhooks, mail, and the command that the server's operator has configured."""
