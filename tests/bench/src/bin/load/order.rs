//! Numbered events of one client: are they handled in order?

use std::time::Duration;

use anyhow::{Result, bail};
use carolina_bench::Metrics;
use clap::Args;
use tokio::time::timeout;

use crate::{Target, crowd, wire};

/// Silence after which an answer counts as lost.
const SILENCE: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Settings {
    #[arg(long, default_value_t = 8)]
    in_flight: usize,
    /// How many events are sent
    #[arg(long, default_value_t = 20_000)]
    count: usize,
}

/// Sends numbered events; the server answers with the place at which it handled each.
pub(crate) async fn run(target: Target, settings: Settings) -> Result<Metrics> {
    if settings.in_flight == 0 || settings.count == 0 {
        bail!("--in-flight and --count have to be at least 1");
    }
    let mut client = crowd::ready(target, 1).await?.remove(0);
    let mut places = vec![None; settings.count];
    let (mut sent, mut in_flight, mut lost) = (0, 0, 0);
    let (mut wrong, mut answers_out_of_order, mut last) = (0u64, 0u64, 0);
    while sent < settings.count || in_flight > 0 {
        while in_flight < settings.in_flight && sent < settings.count {
            client.push(&[format!("42{sent}[\"numbered\",{sent}]").as_bytes()]);
            sent += 1;
            in_flight += 1;
        }
        match timeout(SILENCE, client.exchange()).await {
            Ok(arrived) => arrived?,
            Err(_) => {
                lost += in_flight;
                in_flight = 0;
            }
        }
        while let Some(packet) = client.take()? {
            let packet = client.packet(packet);
            let answer = wire::acknowledgement(packet)
                .and_then(|(id, answer)| Some((id, wire::number(answer.strip_prefix(b"[")?)?.0)));
            let Some((id, place)) = answer else {
                wrong += 1;
                in_flight = in_flight.saturating_sub(1);
                continue;
            };
            answers_out_of_order += u64::from(id < last);
            last = last.max(id);
            match places.get_mut(id as usize) {
                Some(seen @ None) => *seen = Some(place),
                _ => wrong += 1,
            }
            in_flight = in_flight.saturating_sub(1);
        }
    }
    let mut handled: Vec<(u64, usize)> =
        places.iter().enumerate().filter_map(|(number, place)| Some(((*place)?, number))).collect();
    handled.sort_unstable();
    let percent = 100.0 / settings.count as f64;
    Ok(Metrics::from([
        ("overtaken".into(), overtaken(handled.iter().map(|(_, number)| *number)) as f64),
        ("overtaken_percent".into(), overtaken(handled.iter().map(|(_, number)| *number)) as f64 * percent),
        ("answers_out_of_order_percent".into(), answers_out_of_order as f64 * percent),
        ("lost_answers".into(), lost as f64),
        ("wrong_answers".into(), wrong as f64),
    ]))
}

/// How many numbers stand behind a higher one.
fn overtaken(numbers: impl Iterator<Item = usize>) -> usize {
    let mut highest = 0;
    let behind = numbers.filter(|number| {
        highest = highest.max(*number);
        *number < highest
    });
    behind.count()
}

#[cfg(test)]
mod tests {
    #[test]
    fn counts_what_was_overtaken() {
        assert_eq!(super::overtaken([0, 1, 2, 3].into_iter()), 0);
        assert_eq!(super::overtaken([1, 0, 3, 2].into_iter()), 2);
        assert_eq!(super::overtaken([3, 0, 1, 2].into_iter()), 3);
        assert_eq!(super::overtaken([1, 2, 3, 0].into_iter()), 1);
    }
}
