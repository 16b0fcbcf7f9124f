//! The values of all options, shared by all threads.
//!
//! `reading` says whether the environment was read. Whoever begins that reads; anyone else meanwhile takes the values as
//! they are: defaults, or what the program set. Values are single words and independent of each
//! other, so nothing but "the environment was read" needs an order.

use super::parse::{Invalid, parse};
use super::table::{Kind, OptionId, Spec, Standing};
use crate::diag::{self, Message, Settings};
use crate::sync::Ordering::Relaxed;
use crate::sync::{AtomicI64, AtomicU64, TryOnce};

/// The first found wins.
pub(super) const PREFIXES: [&str; 2] = ["FERRIMALLOC_", "MIMALLOC_"];
const NAME_BYTES_MAX: usize = 64;
/// No valid value is longer.
const VALUE_BYTES_MAX: usize = 64;

/// The options that govern messages. They are read first so that they apply to what is said about the others.
const SPOKEN: [OptionId; 4] = [OptionId::ShowErrors, OptionId::Verbose, OptionId::MaxErrors, OptionId::MaxWarnings];

const _: () = assert!(OptionId::COUNT <= u64::BITS as usize, "`chosen` has a bit for every option");

/// Where values come from before the program sets any.
pub trait Environment {
    /// False while it cannot be asked yet.
    fn ready(&self) -> bool;
    /// Whether there is a variable whose name begins with `prefix`, in any case.
    fn has_prefix(&self, prefix: &str) -> bool;
    /// The value of the variable `name` in any case, cut to the length of `value`.
    fn get<'a>(&self, name: &str, value: &'a mut [u8]) -> Option<&'a [u8]>;
    /// Shows the names that begin with `prefix`, without it.
    fn for_each_with_prefix(&self, prefix: &str, visit: &mut dyn FnMut(&[u8]));
}

/// Variables with our prefixes that are no options: levels of checking, the profiler's output, what other parts of mimalloc
/// and our own tests read.
const OTHER_NAMES: [&str; 13] = [
    "secure",
    "debug",
    "profile",
    "so",
    "reference",
    "defines",
    "disable_redirect",
    "disable_override",
    "enable_redirect",
    "prioritize_load_order",
    "patch_imports",
    "force_redirect",
    "patch_ntheap",
];

fn is_known(name: &[u8]) -> bool {
    let specs = OptionId::ALL.iter().map(|option| option.spec());
    let names = specs.flat_map(|spec| [Some(spec.name), spec.former_name]).flatten();
    name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"test_"))
        || names.chain(OTHER_NAMES).any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// All options of a process.
pub struct OptionStore {
    reading: TryOnce,
    /// One bit per option: set by the program or the environment.
    chosen: AtomicU64,
    values: [AtomicI64; OptionId::COUNT],
}

impl OptionStore {
    /// Every option has its default, and the environment has not been read.
    pub const fn new() -> Self {
        let mut values = [const { AtomicI64::new(0) }; OptionId::COUNT];
        let mut index = 0;
        while index < OptionId::COUNT {
            values[index] = AtomicI64::new(OptionId::ALL[index].spec().default);
            index += 1;
        }
        OptionStore { reading: TryOnce::new(), chosen: AtomicU64::new(0), values }
    }

    /// Reads the environment unless that was done, or cannot be done yet.
    #[inline]
    pub fn init(&self, environment: &impl Environment) {
        if !self.reading.is_done() {
            self.init_slow(environment);
        }
    }

    /// The value as far as the environment has been read; one load.
    #[inline]
    pub fn get(&self, option: OptionId) -> i64 {
        self.values[option.index()].load(Relaxed)
    }

    /// The value as a size in bytes, within what can be allocated.
    pub fn get_size(&self, option: OptionId) -> usize {
        let value = usize::try_from(self.get(option).max(0)).unwrap_or(usize::MAX);
        match option.spec().kind {
            Kind::KiB => value.saturating_mul(1024).min(crate::base::MAX_REQUEST),
            Kind::Switch | Kind::Auto | Kind::Number | Kind::Bytes | Kind::Tagging => value,
        }
    }

    /// Sets a value, as the program's choice. The two that bound each other drag each other along.
    pub fn set(&self, option: OptionId, value: i64) {
        self.choose(option, value);
        match option {
            OptionId::GuardedMin if value > self.get(OptionId::GuardedMax) => {
                self.choose(OptionId::GuardedMax, value);
            }
            OptionId::GuardedMax if value < self.get(OptionId::GuardedMin) => {
                self.choose(OptionId::GuardedMin, value);
            }
            _ => (),
        }
        self.tell_if_spoken(option);
    }

    /// Sets a value, unless the program or the environment has chosen one.
    pub fn set_default(&self, option: OptionId, value: i64) {
        if !self.is_chosen(option) {
            self.values[option.index()].store(value, Relaxed);
            self.tell_if_spoken(option);
        }
    }

    /// Whether the program or the environment has chosen the value.
    pub fn is_chosen(&self, option: OptionId) -> bool {
        self.chosen.load(Relaxed) & bit(option) != 0
    }

    /// Nobody has chosen the value.
    #[cfg(test)]
    pub fn forget_choice(&self, option: OptionId) {
        self.chosen.fetch_and(!bit(option), Relaxed);
    }

    /// Lets the environment be read again if a thread that is gone in the child of a `fork` was reading it.
    pub fn after_fork(&self) {
        self.reading.after_fork();
    }

    fn choose(&self, option: OptionId, value: i64) {
        self.chosen.fetch_or(bit(option), Relaxed);
        self.values[option.index()].store(value, Relaxed);
    }

    #[cold]
    #[inline(never)]
    fn init_slow(&self, environment: &impl Environment) {
        if !environment.ready() || !self.reading.begin() {
            return;
        }
        // Few processes have any such variable: one look at the environment instead of one for each name.
        if PREFIXES.iter().any(|prefix| environment.has_prefix(prefix)) {
            self.read_all(environment);
        }
        self.reading.finish();
    }

    fn read_all(&self, environment: &impl Environment) {
        SPOKEN.iter().for_each(|&option| self.read(option, environment));
        self.tell();
        let others = OptionId::ALL.iter().filter(|option| !SPOKEN.contains(option));
        others.for_each(|&option| self.read(option, environment));
        warn_of_unknown(environment);
    }

    /// Takes the value of `option` from the environment, if it is there and the program did not set it already.
    fn read(&self, option: OptionId, environment: &impl Environment) {
        if self.is_chosen(option) {
            return;
        }
        let mut text = [0; VALUE_BYTES_MAX];
        if let Some(found) = Found::look_up(option.spec(), environment, &mut text) {
            found.comment(option.spec());
            match parse(option.spec().kind, found.text) {
                Ok(value) => self.set(option, value),
                Err(Invalid) => found.reject(option),
            }
        }
    }

    fn tell_if_spoken(&self, option: OptionId) {
        if SPOKEN.contains(&option) {
            self.tell();
        }
    }

    /// Pushes down what concerns messages.
    fn tell(&self) {
        diag::configure(Settings {
            show_errors: self.get(OptionId::ShowErrors) != 0,
            verbose: self.get(OptionId::Verbose),
            max_errors: self.get(OptionId::MaxErrors),
            max_warnings: self.get(OptionId::MaxWarnings),
        });
    }
}

/// Warns about variables that look like options and are none: misspelt ones have no effect.
fn warn_of_unknown(environment: &impl Environment) {
    for prefix in PREFIXES {
        environment.for_each_with_prefix(prefix, &mut |name| {
            if !is_known(name) {
                diag::warning(|line| {
                    line.text("environment variable ").text(prefix).foreign(name).text(" is no option, and ignored");
                });
            }
        });
    }
}

fn bit(option: OptionId) -> u64 {
    1 << option.index()
}

/// A variable of the environment that concerns an option.
struct Found<'a> {
    prefix: &'static str,
    name: &'static str,
    text: &'a [u8],
}

impl<'a> Found<'a> {
    fn look_up(spec: &Spec, environment: &impl Environment, text: &'a mut [u8]) -> Option<Self> {
        let names = [Some(spec.name), spec.former_name].into_iter().flatten();
        let (prefix, name) = names
            .flat_map(|name| PREFIXES.map(|prefix| (prefix, name)))
            .find(|(prefix, name)| variable(environment, prefix, name, &mut [0]).is_some())?;
        Some(Found { prefix, name, text: variable(environment, prefix, name, text)? })
    }

    /// Says, to those who ask for verbose messages, that the variable is not what it should be.
    fn comment(&self, spec: &Spec) {
        diag::verbose(|line| match spec.standing {
            _ if self.name != spec.name => {
                self.write_name(line).text(" is deprecated: use ").text(self.prefix);
                write_capitals(line, spec.name);
            }
            Standing::Obeyed => _ = self.write_name(line).text(" is set"),
            Standing::Deprecated => _ = self.write_name(line).text(" is deprecated and ignored"),
            Standing::NotHere(why) => _ = self.write_name(line).text(" has no effect: ").text(why),
        });
    }

    /// Warns that the text is no value. A mistake in the options that show warnings is always shown.
    fn reject(&self, option: OptionId) {
        let write = |line: &mut Message| {
            self.write_name(line).text(" has an invalid value: '").foreign(self.text);
            line.text("'; the default ").decimal(option.spec().default).text(" stays");
        };
        match option {
            OptionId::ShowErrors | OptionId::Verbose => diag::warning_always(write),
            _ => diag::warning(write),
        }
    }

    fn write_name<'m>(&self, line: &'m mut Message) -> &'m mut Message {
        line.text("environment variable ").text(self.prefix);
        write_capitals(line, self.name);
        line
    }
}

fn write_capitals(line: &mut Message, name: &str) {
    name.bytes().for_each(|byte| _ = line.character(byte.to_ascii_uppercase()));
}

/// The value of the variable named `prefix` and `name` in capitals.
pub(super) fn variable<'a>(
    environment: &impl Environment,
    prefix: &str,
    name: &str,
    value: &'a mut [u8],
) -> Option<&'a [u8]> {
    let mut joined = [0; NAME_BYTES_MAX];
    let end = prefix.len() + name.len();
    joined.get_mut(..prefix.len())?.copy_from_slice(prefix.as_bytes());
    joined.get_mut(prefix.len()..end)?.copy_from_slice(name.as_bytes());
    joined.make_ascii_uppercase();
    environment.get(core::str::from_utf8(&joined[..end]).ok()?, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;

    /// An environment made of literal pairs.
    struct Literal<'a> {
        ready: Cell<bool>,
        variables: &'a [(&'a str, &'a str)],
    }

    impl Environment for Literal<'_> {
        fn ready(&self) -> bool {
            self.ready.get()
        }

        fn has_prefix(&self, prefix: &str) -> bool {
            self.variables.iter().any(|(name, _)| name.starts_with(prefix))
        }

        fn get<'a>(&self, name: &str, value: &'a mut [u8]) -> Option<&'a [u8]> {
            let (_, text) = self.variables.iter().find(|(other, _)| *other == name)?;
            let length = text.len().min(value.len());
            value[..length].copy_from_slice(&text.as_bytes()[..length]);
            Some(&value[..length])
        }

        fn for_each_with_prefix(&self, prefix: &str, visit: &mut dyn FnMut(&[u8])) {
            let names = self.variables.iter().filter_map(|(name, _)| name.strip_prefix(prefix));
            names.for_each(|name| visit(name.as_bytes()));
        }
    }

    fn literal<'a>(variables: &'a [(&'a str, &'a str)]) -> Literal<'a> {
        Literal { ready: Cell::new(true), variables }
    }

    fn read(variables: &[(&str, &str)]) -> OptionStore {
        let store = OptionStore::new();
        store.init(&literal(variables));
        store
    }

    #[test]
    fn without_environment_every_option_has_its_default() {
        let store = read(&[]);
        for &option in OptionId::ALL {
            assert_eq!(store.get(option), option.spec().default);
            assert!(!store.is_chosen(option));
        }
    }

    #[test]
    fn every_option_can_be_set_from_the_environment() {
        for &option in OptionId::ALL {
            let name = std::format!("MIMALLOC_{}", option.spec().name.to_uppercase());
            let store = read(&[(&name, "7KiB"), ("MIMALLOC_MAX_WARNINGS", "0")]);
            let is_size = option.spec().kind == Kind::KiB;
            assert_eq!(store.get(option) == 7, is_size, "{name}");
            assert_eq!(store.get(option) == 7 << 10, option.spec().kind == Kind::Bytes, "{name}");
            assert!(read(&[(&name, "70000")]).is_chosen(option), "{name}");
        }
    }

    #[test]
    fn our_prefix_goes_first_and_present_names_before_former_ones() {
        let store = read(&[("MIMALLOC_PURGE_DELAY", "5"), ("FERRIMALLOC_PURGE_DELAY", "6")]);
        assert_eq!(store.get(OptionId::PurgeDelay), 6);
        let store = read(&[("FERRIMALLOC_RESET_DELAY", "5"), ("MIMALLOC_PURGE_DELAY", "6")]);
        assert_eq!(store.get(OptionId::PurgeDelay), 6);
    }

    #[test]
    fn former_names_work() {
        let former = [
            ("MIMALLOC_LARGE_OS_PAGES", 6),
            ("MIMALLOC_EAGER_REGION_COMMIT", 4),
            ("MIMALLOC_RESET_DECOMMITS", 5),
            ("MIMALLOC_RESET_DELAY", 15),
            ("MIMALLOC_LIMIT_OS_ALLOC", 17),
            ("MIMALLOC_DECOMMIT_EXTEND_DELAY", 25),
            ("MIMALLOC_VISIT_ABANDONED", 28),
            ("MIMALLOC_GUARDED_PRECISE", 31),
            ("MIMALLOC_ABANDONED_RECLAIM_ON_FREE", 35),
            ("MIMALLOC_MINIMAL_PURGE_SIZE", 44),
        ];
        for (name, number) in former {
            let option = OptionId::from_raw(number).unwrap();
            let text = if option.spec().kind == Kind::KiB { "77K" } else { "77" };
            assert_eq!(read(&[(name, text)]).get(option), 77, "{name}");
        }
    }

    #[test]
    fn present_and_former_names_in_any_case_are_known_and_others_are_not() {
        for name in ["purge_delay", "PURGE_DELAY", "Reset_Delay", "SCAVENGE", "secure", "PROFILE"] {
            assert!(is_known(name.as_bytes()), "{name}");
        }
        for name in ["", "purge", "purge_delays", "PURGE-DELAY", "secured"] {
            assert!(!is_known(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn invalid_values_leave_the_default() {
        let store = read(&[("MIMALLOC_PURGE_DELAY", "soon")]);
        assert_eq!(store.get(OptionId::PurgeDelay), 1000);
        assert!(!store.is_chosen(OptionId::PurgeDelay));
    }

    #[test]
    fn an_overlong_value_is_invalid_or_the_largest_never_a_prefix_of_itself() {
        let long = "1".repeat(1000);
        let store = read(&[("MIMALLOC_PURGE_DELAY", &long)]);
        assert_eq!(store.get(OptionId::PurgeDelay), i64::MAX);
    }

    #[test]
    fn defaults_before_the_environment_is_ready_are_not_kept() {
        let environment = literal(&[("MIMALLOC_PURGE_DELAY", "5")]);
        environment.ready.set(false);
        let store = OptionStore::new();
        store.init(&environment);
        assert_eq!(store.get(OptionId::PurgeDelay), 1000);
        environment.ready.set(true);
        store.init(&environment);
        assert_eq!(store.get(OptionId::PurgeDelay), 5);
    }

    #[test]
    fn the_program_goes_before_the_environment_and_that_before_defaults() {
        let environment = literal(&[("MIMALLOC_PURGE_DELAY", "5"), ("MIMALLOC_MAX_VABITS", "40")]);
        let store = OptionStore::new();
        store.set(OptionId::PurgeDelay, 3);
        store.set_default(OptionId::MaxVabits, 39);
        store.set_default(OptionId::OsTag, 1);
        store.init(&environment);
        assert_eq!(store.get(OptionId::PurgeDelay), 3);
        assert_eq!(store.get(OptionId::MaxVabits), 40);
        assert_eq!(store.get(OptionId::OsTag), 1);
        store.set_default(OptionId::MaxVabits, 39);
        assert_eq!(store.get(OptionId::MaxVabits), 40);
    }

    #[test]
    fn the_environment_is_read_once() {
        let store = read(&[]);
        store.init(&literal(&[("MIMALLOC_PURGE_DELAY", "5")]));
        assert_eq!(store.get(OptionId::PurgeDelay), 1000);
    }

    #[test]
    fn a_reading_cut_short_by_a_fork_is_done_again() {
        let environment = literal(&[("MIMALLOC_PURGE_DELAY", "5")]);
        let store = OptionStore::new();
        assert!(store.reading.begin());
        store.init(&environment);
        assert_eq!(store.get(OptionId::PurgeDelay), 1000);
        store.after_fork();
        store.init(&environment);
        assert_eq!(store.get(OptionId::PurgeDelay), 5);
    }

    #[test]
    fn bounds_drag_each_other() {
        let store = read(&[("MIMALLOC_GUARDED_MIN", "2000000000000")]);
        assert_eq!(store.get(OptionId::GuardedMax), 2_000_000_000_000);
        store.set(OptionId::GuardedMax, 10);
        assert_eq!(store.get(OptionId::GuardedMin), 10);
    }

    #[test]
    fn sizes_are_bytes_within_bounds() {
        let store = OptionStore::new();
        let size = |value| {
            store.set(OptionId::ArenaReserve, value);
            store.get_size(OptionId::ArenaReserve)
        };
        assert_eq!(size(4), 4096);
        assert_eq!(size(-4), 0);
        assert_eq!(size(i64::MAX), crate::base::MAX_REQUEST);
        store.set(OptionId::PurgeDelay, -1);
        assert_eq!(store.get_size(OptionId::PurgeDelay), 0);
    }
}
