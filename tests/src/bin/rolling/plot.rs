//! The plot, in SVG: how many clients were connected again in each second, and when each node was closing.

use std::fmt::Write;

use carolina_sockets_tests::rolling::{Plan, Seen};

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 50.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = HEIGHT - 40.0;

/// How many clients were connected again in each second since the beginning.
pub(crate) fn each_second(seen: &Seen) -> Vec<usize> {
    let last =
        seen.steps.last().map_or(0, |step| step.back).max(seen.connects.iter().copied().max().unwrap_or_default());
    (0..=last / 1000).map(|second| seen.connects.iter().filter(|at| **at / 1000 == second).count()).collect()
}

pub(crate) fn svg(seen: &Seen, plan: &Plan) -> String {
    let connects = each_second(seen);
    let most = connects.iter().copied().max().unwrap_or_default().max(1) as f64;
    let second = (WIDTH - LEFT - 20.0) / connects.len() as f64;
    let x = |milliseconds: u64| LEFT + milliseconds as f64 / 1000.0 * second;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\" role=\"img\">\n\
         <title>A rolling restart under {} clients: connects in each second</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
        plan.clients
    );
    // Writing to a String cannot fail.
    let _ = writeln!(
        svg,
        r##"<text x="{LEFT}" y="22" font-weight="600" fill="#212529">Clients connected again, in each second</text>"##
    );
    for (number, step) in seen.steps.iter().enumerate() {
        let end = step.closing + plan.over.as_millis() as u64;
        for (from, to, colour) in [(step.not_ready, step.closing, "#dee2e6"), (step.closing, end, "#ffe8cc")] {
            let (from, width) = (x(from), x(to) - x(from));
            let _ = writeln!(
                svg,
                r##"<rect x="{from:.1}" y="{TOP}" width="{width:.1}" height="{:.1}" fill="{colour}"/>"##,
                BOTTOM - TOP
            );
        }
        let noticed = x(step.noticed);
        let _ = writeln!(
            svg,
            r##"<line x1="{noticed:.1}" y1="{TOP}" x2="{noticed:.1}" y2="{BOTTOM}" stroke="#1c7ed6" stroke-width="1.5"/><text x="{:.1}" y="{}" fill="#495057">node {}</text>"##,
            x(step.closing) + 4.0,
            TOP - 8.0,
            number + 1
        );
    }
    for (number, count) in connects.iter().enumerate().filter(|(_, count)| **count > 0) {
        let height = *count as f64 / most * (BOTTOM - TOP - 20.0);
        let _ = writeln!(
            svg,
            r##"<rect x="{:.1}" y="{:.1}" width="{:.1}" height="{height:.1}" fill="#d9480f"/>"##,
            x(number as u64 * 1000) + 1.0,
            BOTTOM - height,
            (second - 2.0).max(1.0)
        );
    }
    let highest = TOP + 20.0;
    let _ = writeln!(
        svg,
        r##"<line x1="{LEFT}" y1="{highest}" x2="{:.1}" y2="{highest}" stroke="#adb5bd" stroke-dasharray="3 3"/><text x="{:.1}" y="{:.1}" text-anchor="end" fill="#495057">{most}</text><line x1="{LEFT}" y1="{BOTTOM}" x2="{:.1}" y2="{BOTTOM}" stroke="#495057"/>"##,
        WIDTH - 20.0,
        LEFT - 6.0,
        highest + 4.0,
        WIDTH - 20.0
    );
    for at in (0..connects.len()).step_by(10) {
        let _ = writeln!(
            svg,
            r##"<text x="{:.1}" y="{:.1}" text-anchor="middle" fill="#495057">{at} s</text>"##,
            x(at as u64 * 1000),
            BOTTOM + 16.0
        );
    }
    let legend = [
        (335, "#dee2e6", "not ready (drain.delay)"),
        (490, "#1c7ed6", "the balancer has noticed"),
        (657, "#ffe8cc", "closing its clients (drain.over)"),
    ];
    for (left, colour, text) in legend {
        let _ = writeln!(
            svg,
            r##"<rect x="{left}" y="12" width="11" height="11" fill="{colour}"/><text x="{}" y="22" fill="#495057">{text}</text>"##,
            left + 15
        );
    }
    svg.push_str("</svg>\n");
    svg
}
