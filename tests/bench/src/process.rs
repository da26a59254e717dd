//! What Linux tells about a process in `/proc`.

use std::{fs, time::Duration};

use anyhow::{Context, Result};

/// A process that is being watched.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    id: u32,
}

/// How many ticks Linux counts in a second of processor time, for every architecture Rust's `std` runs on.
const TICKS_PER_SECOND: u64 = 100;

impl Process {
    /// The process of this id.
    pub fn new(id: u32) -> Self {
        Self { id }
    }

    /// This very process.
    pub fn current() -> Self {
        Self::new(std::process::id())
    }

    fn read(self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.id);
        fs::read_to_string(&path).with_context(|| format!("cannot read {path}: is the process still running?"))
    }

    /// The processor time it has used, all threads together, to 10 ms.
    ///
    /// # Errors
    ///
    /// When the process is gone.
    pub fn cpu(self) -> Result<Duration> {
        let stat = self.read("stat")?;
        // The name, in parentheses, may hold spaces; the 14th and 15th field are user and system time.
        let after_name = stat.rsplit_once(')').context("/proc/…/stat names no process")?.1;
        let ticks = after_name.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        let ticks: u64 = ticks.sum::<Result<u64, _>>().context("/proc/…/stat holds no times")?;
        Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
    }

    /// The memory it has in RAM, in bytes.
    ///
    /// # Errors
    ///
    /// When the process is gone.
    pub fn resident(self) -> Result<u64> {
        let status = self.read("status")?;
        let line =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("/proc/…/status has no VmRSS")?;
        let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().context("VmRSS is no number")?;
        Ok(kilobytes * 1024)
    }

    /// How many files and connections it has open.
    ///
    /// # Errors
    ///
    /// When the process is gone.
    pub fn open_files(self) -> Result<usize> {
        let path = format!("/proc/{}/fd", self.id);
        let files =
            fs::read_dir(&path).with_context(|| format!("cannot list {path}: is the process still running?"))?;
        Ok(files.count())
    }
}

#[cfg(test)]
mod tests {
    use super::Process;

    #[test]
    fn tells_about_this_process() {
        let this = Process::current();
        assert!(this.resident().unwrap() > 100_000);
        let before = this.open_files().unwrap();
        let _open = std::fs::File::open("/proc/self/stat").unwrap();
        assert!(this.open_files().unwrap() > before);
        this.cpu().unwrap();
    }

    #[test]
    fn says_when_a_process_is_gone() {
        let error = Process::new(u32::MAX).resident().unwrap_err();
        assert!(error.to_string().contains("is the process still running?"), "{error}");
    }
}
