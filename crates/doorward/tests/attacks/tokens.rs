//! Section J of the attack list: tokens.
