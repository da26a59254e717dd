//! The plot, in SVG: a panel for each figure, a bar for each server.

use std::fmt::Write;

use crate::{
    rows::{ROWS, Row},
    server::Server,
    summary::Summary,
};

const WIDTH: f64 = 860.0;
const PANEL: f64 = 132.0;
const BAR: f64 = 18.0;
const STEP: f64 = 24.0;
const NAMES: f64 = 190.0;
const LONGEST: f64 = 520.0;

fn called(server: Server) -> &'static str {
    match server {
        Server::Carolina => "carolina-sockets",
        Server::Raw => "raw socketioxide",
        Server::Node => "Node socket.io",
        Server::Limit => "limit (no Socket.IO)",
    }
}

fn colour(server: Server) -> &'static str {
    match server {
        Server::Carolina => "#d9480f",
        Server::Raw => "#868e96",
        Server::Node => "#adb5bd",
        Server::Limit => "#dee2e6",
    }
}

pub(crate) fn svg(summary: &Summary) -> String {
    let shown: Vec<(&Row, &str)> = ROWS
        .iter()
        .filter_map(|row| Some((row, row.plot?)))
        .filter(|(row, _)| Server::ALL.iter().any(|server| row.value(summary, *server).is_some()))
        .collect();
    let height = 20.0 + shown.len() as f64 * PANEL;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\" role=\"img\">\n\
         <title>carolina-sockets measured against others</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    for (number, (row, heading)) in shown.iter().enumerate() {
        panel(&mut svg, 20.0 + number as f64 * PANEL, row, heading, summary);
    }
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, top: f64, row: &Row, heading: &str, summary: &Summary) {
    let values = Server::ALL.map(|server| row.value(summary, server));
    let most = values.iter().flatten().copied().fold(f64::MIN_POSITIVE, f64::max);
    // Writing to a String cannot fail.
    let _ = writeln!(svg, r##"<text x="20" y="{}" font-weight="600" fill="#212529">{heading}</text>"##, top + 10.0);
    let mut y = top + 20.0;
    for (server, value) in Server::ALL.into_iter().zip(values) {
        let Some(value) = value else { continue };
        let (text, length) = (y + BAR - 4.5, (value / most * LONGEST).max(1.0));
        let _ = writeln!(
            svg,
            r##"<text x="{}" y="{text}" text-anchor="end" fill="#495057">{}</text><rect x="{NAMES}" y="{y}" width="{length:.1}" height="{BAR}" rx="2" fill="{}"/><text x="{:.1}" y="{text}" fill="#212529">{}</text>"##,
            NAMES - 10.0,
            called(server),
            colour(server),
            NAMES + length + 8.0,
            row.unit.write(value)
        );
        y += STEP;
    }
}
