//! Many official clients at once.

use serde::Deserialize;

use crate::{DEADLINE, program::Script};

/// A process full of official clients.
#[derive(Debug)]
pub struct Crowd(Script);

/// What one of them tells of itself.
#[derive(Debug, Deserialize)]
pub struct Member {
    /// The numbers it has heard, in this order.
    pub heard: Vec<u64>,
    /// The process's id of the node it is on.
    pub node: Option<u32>,
    /// How often it was disconnected.
    pub away: u32,
    /// For how long at most, in milliseconds.
    pub longest: u64,
    /// What it is connected over.
    pub transport: String,
}

impl Crowd {
    /// Gathers so many clients at a URL.
    pub fn gather(url: &str, count: usize) -> Self {
        Self::gather_with(url, count, &[])
    }

    /// Two after two take these sessions in turn, and the next two none: so that there are both transports to each.
    pub fn gather_with(url: &str, count: usize, sessions: &[String]) -> Self {
        let count = count.to_string();
        let arguments = ["crowd.mjs", url, &count].into_iter().chain(sessions.iter().map(String::as_str));
        Self(Script::start(&arguments.collect::<Vec<_>>()))
    }

    /// Says a word to it, and returns its answer.
    pub async fn ask(&mut self, word: &str) -> String {
        let answer = self.0.ask(word, DEADLINE * 2).await;
        answer.unwrap_or_else(|| panic!("the crowd does not answer `{word}`"))
    }

    /// What each of them tells.
    pub async fn report(&mut self) -> Vec<Member> {
        serde_json::from_str(&self.ask("report").await).expect("a report")
    }

    /// Waits until this holds of everybody, and returns what they say.
    pub async fn until(&mut self, what: &str, holds: impl Fn(usize, &Member) -> bool) -> Vec<Member> {
        let mut report = self.report().await;
        let mut waiting = 0;
        let held = tokio::time::timeout(DEADLINE, async {
            loop {
                waiting = report.iter().enumerate().filter(|(number, member)| !holds(*number, member)).count();
                if waiting == 0 {
                    return;
                }
                report = serde_json::from_str(&self.ask("change").await).expect("a report");
            }
        });
        if held.await.is_err() {
            panic!("{what}: {waiting} have not");
        }
        report
    }

    /// Waits until nobody is left on a node, and everybody is on some.
    pub async fn left(&mut self, node: u32) {
        self.until("they find another node", |_, member| member.node.is_some_and(|on| on != node)).await;
    }

    /// Waits until everybody has heard a number.
    pub async fn heard(&mut self, last: u64) -> Vec<Member> {
        self.until("they hear the last", |_, member| member.heard.last() == Some(&last)).await
    }
}
