//! The process as the system sees it, under the names that Prometheus uses. Linux only; elsewhere they are missing.

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
    Some(pages * rustix::param::page_size() as f64)
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
    Some(booted + ticks / rustix::param::clock_ticks_per_second() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_in_use_is_what_the_system_says_whatever_its_pages() {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        let ratio = resident().unwrap() / (kibibytes * 1_024.0);
        assert!((0.5..2.0).contains(&ratio), "{ratio}");
    }
}
