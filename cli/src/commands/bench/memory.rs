//! What a process holds in memory, as the system counts it.

use serde::Serialize;

/// Of one process, in bytes; nothing where the system does not tell.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Memory {
    /// Resident, with nothing to do.
    pub(crate) idle: Option<u64>,
    /// Resident, at most since it began.
    pub(crate) peak: Option<u64>,
}

/// Looks at a process.
pub(crate) fn of(process: u32) -> Memory {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
        Some(kilobytes * 1_024)
    };
    Memory { idle: bytes("VmRSS:"), peak: bytes("VmHWM:") }
}
