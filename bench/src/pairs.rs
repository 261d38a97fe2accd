//! Rounds of two measurements in turns. The ratio is taken within each round, while the machine was the same for both;
//! the median over the rounds counts.

/// The measurements, and the yardstick beside them, round by round.
#[derive(Default)]
pub(crate) struct Pairs(Vec<Pair>);

#[derive(Clone, Copy)]
struct Pair {
    ours: f64,
    yardstick: f64,
}

impl Pairs {
    /// Adds a round.
    pub(crate) fn push(&mut self, ours: f64, yardstick: f64) {
        self.0.push(Pair { ours, yardstick });
    }

    /// The median of the ratios within each round.
    pub(crate) fn ratio(&self) -> f64 {
        self.median(|pair| pair.ours / pair.yardstick)
    }

    /// The median of what was measured.
    pub(crate) fn ours(&self) -> f64 {
        self.median(|pair| pair.ours)
    }

    /// The median of the yardstick.
    pub(crate) fn yardstick(&self) -> f64 {
        self.median(|pair| pair.yardstick)
    }

    fn median(&self, of: fn(&Pair) -> f64) -> f64 {
        median(self.0.iter().map(of).collect())
    }
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_of_each_round_and_one_lucky_round_does_not_move_it() {
        let mut pairs = Pairs::default();
        for (ours, yardstick) in [(80.0, 100.0), (90.0, 45.0), (40.0, 50.0)] {
            pairs.push(ours, yardstick);
        }
        assert_eq!(pairs.ratio(), 0.8);
        assert_eq!((pairs.ours(), pairs.yardstick()), (80.0, 50.0));
    }
}
