//! The machines on which scenarios run.

use ferrimalloc_prim::mem::{self, MemConfig, ThpMode};
use ferrimalloc_prim::sim::{self, Limits, Mode};

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

impl Machine {
    /// Makes the simulated system this machine.
    pub fn start(&self) {
        let mut config = *mem::config();
        (self.configure)(&mut config);
        sim::set_config(Some(Box::leak(Box::new(config))));
        sim::set_limits(self.limits);
        sim::set_mode(self.mode);
    }
}
