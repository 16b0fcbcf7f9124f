//! The machines on which scenarios run.

use ferrimalloc_prim::mem::{self, MemConfig, ThpMode};
use ferrimalloc_prim::sim::{self, Clock, Limits, Mode};

pub struct Machine {
    pub name: &'static str,
    configure: fn(&mut MemConfig),
    limits: Limits,
    /// Where addresses are few, those given back must be there to be used again.
    mode: Mode,
    /// Whether a scenario may run out of memory here without any fault.
    pub is_tight: bool,
}

const MIB: usize = 1 << 20;

pub const MACHINES: &[Machine] = &[
    Machine { name: "ordinary", configure: |_| (), limits: Limits::NONE, mode: Mode::Poison, is_tight: false },
    Machine {
        name: "strict accounting",
        configure: |config| {
            config.overcommits = false;
            config.physical_bytes = 1 << 45;
        },
        limits: Limits::NONE,
        mode: Mode::Poison,
        is_tight: false,
    },
    Machine {
        name: "huge pages always",
        configure: |config| config.thp = ThpMode::Always,
        limits: Limits::NONE,
        mode: Mode::Poison,
        is_tight: false,
    },
    Machine {
        name: "few addresses",
        configure: |config| config.address_limit_bytes = 256 * MIB,
        limits: Limits { mapped_bytes: 256 * MIB, ..Limits::NONE },
        mode: Mode::Plain,
        is_tight: true,
    },
    Machine {
        name: "little memory",
        configure: |config| {
            config.overcommits = false;
            config.physical_bytes = 128 * MIB;
        },
        limits: Limits { accessible_bytes: 128 * MIB, ..Limits::NONE },
        mode: Mode::Plain,
        is_tight: true,
    },
];

/// How fast time goes: it stands still, it is slow, or each call lasts as long as a purge is delayed.
const STEPS_MILLIS: [u64; 4] = [0, 1, 30, 1000];

/// A usual machine, whatever this one and its limits are.
fn usual_config() -> MemConfig {
    MemConfig {
        physical_bytes: 16 << 30,
        overcommits: true,
        address_limit_bytes: usize::MAX,
        thp: ThpMode::Madvise,
        ..*mem::config()
    }
}

impl Machine {
    /// Whether arenas are committed piece by piece.
    pub fn commits_arenas(&self) -> bool {
        let mut config = usual_config();
        (self.configure)(&mut config);
        !config.overcommits
    }

    /// Makes the simulated system this machine. Addresses and the clock's pace follow from `number`.
    pub fn start(&self, number: u64) {
        let mut config = usual_config();
        (self.configure)(&mut config);
        let os_pages = number as usize % (1 << 20);
        sim::set_top((3 << (config.va_bits - 2)) - os_pages * config.os_page_bytes);
        sim::set_clock(Clock::Steps(STEPS_MILLIS[(number >> 32) as usize % STEPS_MILLIS.len()]));
        sim::set_config(Some(Box::leak(Box::new(config))));
        sim::set_limits(self.limits);
        sim::set_mode(self.mode);
    }
}
