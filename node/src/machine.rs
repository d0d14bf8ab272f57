//! The machine under a validator, compared with the least that the users ask for. It only warns: a validator that starts on a
//! small machine is right, if slow.

use std::fmt;
use std::fs;

use carat_network::socket::BUFFER_BYTES;

/// **Source**: the users' white paper, minimum of a validator.
const CORES_MIN: usize = 4;

/// 16 GB, as memory is sold. The kernel keeps some of it for itself before it counts, so what it shows may be a little less.
const MEMORY_MIN: u64 = 16_000_000_000;

/// Cores and memory that this process may use: of the machine, or of the container that it is in. And what its sockets may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Processor cores.
    pub cores: usize,
    /// Memory, if it could be found out. **Units**: bytes.
    pub memory: Option<u64>,
    /// What a socket may hold at most of what arrives, if it could be found out. **Units**: bytes.
    pub socket: Option<usize>,
}

impl Machine {
    /// This one.
    pub fn here() -> Self {
        let of_machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| memory_total(&text));
        let of_container = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
        let of_container = of_container.and_then(|text| text.trim().parse::<u64>().ok());
        Machine {
            // Looks at quotas of the container and at affinity too.
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory: [of_machine, of_container].into_iter().flatten().min(),
            socket: fs::read_to_string("/proc/sys/net/core/rmem_max")
                .ok()
                .and_then(|text| text.trim().parse().ok()),
        }
    }

    /// What is below the minimum, a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.cores < CORES_MIN {
            warnings.push(format!(
                "{} processor cores, expected at least {CORES_MIN} (hint: signatures, execution, and the history each use one; below that, latency rises long before throughput falls)",
                self.cores
            ));
        }
        match self.memory {
            Some(memory) if memory < MEMORY_MIN => warnings.push(format!(
                "{} of memory, expected at least {} (hint: the tree over the state is in memory, and grows with the accounts)",
                gigabytes(memory),
                gigabytes(MEMORY_MIN)
            )),
            _ => {}
        }
        if let Some(socket) = self.socket.filter(|socket| *socket < BUFFER_BYTES) {
            warnings.push(format!(
                "net.core.rmem_max of {socket} bytes, expected at least {BUFFER_BYTES} (hint: sysctl -w net.core.rmem_max={BUFFER_BYTES}; with less, bursts of peers are lost, and long links become slow)"
            ));
        }
        warnings
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = self.memory.map_or_else(|| "unknown".to_owned(), gigabytes);
        write!(f, "{} processor cores, {memory} of memory", self.cores)
    }
}

/// Bytes for people.
fn gigabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000_000;
    format!("{}.{} GB", tenths / 10, tenths % 10)
}

/// The line `MemTotal` of the kernel, which counts in KiB.
fn memory_total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_below_the_minimum_is_warned_of_and_no_other() {
        let table = [
            (4, Some(MEMORY_MIN), Some(BUFFER_BYTES), ""),
            (64, None, None, ""),
            (3, Some(MEMORY_MIN), None, "3 processor cores, expected at least 4"),
            (4, Some(MEMORY_MIN - 1), None, "15.9 GB of memory, expected at least 16.0 GB"),
            (4, None, Some(212_992), "net.core.rmem_max of 212992 bytes, expected at least 8388608"),
        ];
        for (cores, memory, socket, expected) in table {
            let machine = Machine { cores, memory, socket };
            let warnings = machine.warnings();
            assert_eq!(warnings.len(), usize::from(!expected.is_empty()), "{machine:?}: {warnings:?}");
            assert!(
                warnings.iter().all(|warning| warning.starts_with(expected) && warning.contains("hint:"))
            );
        }
        assert_eq!(Machine { cores: 1, memory: Some(1), socket: Some(1) }.warnings().len(), 3);
    }

    #[test]
    fn memory_is_read_as_the_kernel_writes_it() {
        for (text, expected) in [
            ("MemTotal:       16384 kB\nMemFree:  1 kB\n", Some(16_777_216)),
            ("MemFree: 1 kB\nMemTotal: 2 kB", Some(2_048)),
            ("MemTotal: two kB", None),
            ("MemTotal: 18446744073709551615 kB", None),
            ("", None),
        ] {
            assert_eq!(memory_total(text), expected, "{text:?}");
        }
        assert!(Machine::here().memory.is_some_and(|memory| memory > 0));
    }
}
