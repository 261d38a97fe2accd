/// Which requests are recorded while nobody watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// None.
    Off,
    /// Those that were refused.
    Errors,
    /// One of so many.
    OneOf(u32),
    /// All, as in development mode.
    All,
}
