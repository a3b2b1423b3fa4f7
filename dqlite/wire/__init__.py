"""The wire protocol without sockets or clocks: messages, their bytes, and one end of a session."""
