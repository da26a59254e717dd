//! Medians of what was measured.

use std::collections::BTreeMap;

use carolina_bench::Record;

use crate::server::Server;

/// The median of each figure of each workload and server.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    medians: BTreeMap<(String, String, String), f64>,
    /// How often each was measured.
    pub(crate) runs: u32,
}

impl Summary {
    pub(crate) fn of(records: &[Record]) -> Self {
        let mut values: BTreeMap<_, Vec<f64>> = BTreeMap::new();
        for record in records {
            for (metric, value) in &record.metrics {
                let key = (record.workload.clone(), record.server.clone(), metric.clone());
                values.entry(key).or_default().push(*value);
            }
        }
        let medians = values.into_iter().map(|(key, values)| (key, median(values))).collect();
        Self { medians, runs: records.iter().map(|record| record.run).max().unwrap_or(0) }
    }

    pub(crate) fn get(&self, workload: &str, server: Server, metric: &str) -> Option<f64> {
        self.medians.get(&(workload.to_owned(), server.name().to_owned(), metric.to_owned())).copied()
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn takes_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(vec![7.0]), 7.0);
    }
}
