//! The figures of a comparison: order statistics, no distribution assumed.

/// A sample, sorted.
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    pub(crate) fn new(mut values: Vec<f64>) -> Sample {
        values.sort_by(f64::total_cmp);
        Sample(values)
    }

    /// The value that the share `q` (0 to 1) of the sample does not exceed.
    pub(crate) fn quantile(&self, q: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get((q * last as f64).round() as usize).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// A 95 % interval for the median: the order statistics at half ± 1.96 √n / 2.
    pub(crate) fn median_interval(&self) -> (f64, f64) {
        let n = self.0.len() as f64;
        let reach = 1.96 * n.sqrt() / 2.0 / n.max(1.0);
        (self.quantile((0.5 - reach).max(0.0)), self.quantile((0.5 + reach).min(1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::Sample;

    #[test]
    fn quantiles_of_a_hundred_and_one() {
        let sample = Sample::new((0..=100).rev().map(f64::from).collect());
        assert_eq!(
            (sample.median(), sample.quantile(0.1), sample.quantile(0.9)),
            (50.0, 10.0, 90.0)
        );
        assert_eq!(sample.median_interval(), (40.0, 60.0));
    }
}
