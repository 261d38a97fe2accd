//! The process as the system sees it, under the names that Prometheus gives these numbers. Linux only; elsewhere they
//! are missing.

const PAGE: f64 = 4_096.0;
/// Ticks of the clock by which the system counts the start of a process.
const TICKS: f64 = 100.0;

/// Name, help and value of each number that can be read.
pub(super) fn look() -> impl Iterator<Item = (&'static str, &'static str, f64)> {
    [
        ("process_resident_memory_bytes", "Memory in use", resident()),
        ("process_open_fds", "Open files and connections", open_files()),
        ("process_start_time_seconds", "When the process began, in seconds since 1970", started_at()),
    ]
    .into_iter()
    .filter_map(|(name, help, value)| Some((name, help, value?)))
}

fn resident() -> Option<f64> {
    let pages: f64 = std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * PAGE)
}

fn open_files() -> Option<f64> {
    // One of them is the folder that is being read.
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64)
}

fn started_at() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program, in brackets, may have spaces in it.
    let ticks: f64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let system = std::fs::read_to_string("/proc/stat").ok()?;
    let booted: f64 = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(booted + ticks / TICKS)
}
