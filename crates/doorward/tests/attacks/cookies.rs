//! Section K of the attack list: cookies and sessions.
