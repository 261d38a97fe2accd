//! Section E: who has an account, and other things that answers must not reveal. The limits on guesses (rule 8), and
//! the audit log (rule 12).

mod answers;
mod audit;
mod limits;
mod others;
mod servers;
