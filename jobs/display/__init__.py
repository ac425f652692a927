"""What people see: pictures on a terminal, plain lines elsewhere."""
