//! How the attacks on one allocator ended, counted over several runs.

use super::subjects::Subject;
use crate::test::attacks::{Attack, Endings};

/// What was seen of all.
pub struct Findings {
    pub catalogue: Vec<Attack>,
    pub columns: Vec<Column>,
}

/// What was seen of one subject.
pub struct Column {
    pub subject: Subject,
    pub runs: Vec<Endings>,
    /// Nanoseconds of a pair of 100 bytes, and of 16 to 512.
    pub pairs: [f64; 2],
}

/// Endings that stop an attack, those that leave it a success, and one that says nothing; with the page's letters.
const LETTERS: [(&str, &str); 6] =
    [("ended", "e"), ("faulted", "f"), ("harmless", "h"), ("hung", "hung"), ("lost", "lost"), ("unnoticed", "-")];
const STOPPED: [&str; 3] = ["ended", "faulted", "harmless"];
const NOTICED: [&str; 2] = ["ended", "faulted"];
const ABSENT: &str = "absent";

/// The page's letter for an ending.
#[cfg(test)]
pub fn letter(ending: &str) -> Option<&'static str> {
    Some(LETTERS.iter().find(|(name, _)| *name == ending)?.1)
}

impl Column {
    fn count(&self, attack: &str, ending: &str) -> usize {
        self.runs.iter().filter(|run| run.get(attack).is_some_and(|end| end == ending)).count()
    }

    /// The share of runs with one of these endings; nothing when the library lacks the function.
    fn share(&self, attack: &str, endings: &[&str]) -> Option<f64> {
        let counted: usize = endings.iter().map(|ending| self.count(attack, ending)).sum();
        (self.count(attack, ABSENT) == 0).then(|| counted as f64 / self.runs.len().max(1) as f64)
    }

    pub fn stopped(&self, attack: &str) -> Option<f64> {
        self.share(attack, &STOPPED)
    }

    pub fn noticed(&self, attack: &str) -> Option<f64> {
        self.share(attack, &NOTICED)
    }

    /// A letter, or letters with their numbers where runs ended differently.
    pub fn cell(&self, attack: &str) -> String {
        if self.count(attack, ABSENT) > 0 {
            return "n/a".into();
        }
        let counted = LETTERS.iter().map(|(ending, letter)| (letter, self.count(attack, ending)));
        let seen: Vec<_> = counted.filter(|(_, count)| *count > 0).collect();
        match seen[..] {
            [(letter, _)] => letter.to_string(),
            _ => seen.iter().map(|(letter, count)| format!("{letter}{count}")).collect::<Vec<_>>().join(" "),
        }
    }
}

/// Attacks of a kind: its name, and where in the catalogue it begins.
const KINDS: [(&str, &str); 12] = [
    ("overflow", "overflow by 1 byte of 1"),
    ("underflow", "underflow by 1 byte of 24"),
    ("size 0", "read of malloc(0)"),
    ("double free", "double free at once of 24"),
    ("wrong free", "free of the stack"),
    ("write after free", "write after free to a block of 24"),
    ("read of secrets", "read of a secret after free, of 24"),
    ("order", "the next block of the size is the one just freed"),
    ("guarded blocks", "overflow of guarded blocks by 1 byte of 112"),
    ("arithmetic", "calloc whose product wraps"),
    ("sizes, `delete`", "delete with a size too small"),
    ("copies", "memcpy to 24 of 24 more"),
];
/// No attack: who doesn't call this harmless has raised a false alarm. It is the catalogue's last.
pub const RIGHT: &str = "right copies to the ends of blocks";

pub struct Kind<'a> {
    pub name: &'static str,
    pub attacks: Vec<&'a str>,
}

/// The catalogue by kinds.
pub fn kinds(catalogue: &[Attack]) -> Vec<Kind<'_>> {
    let mut kinds: Vec<Kind> = Vec::new();
    for attack in catalogue.iter().map(|attack| attack.name.as_str()).filter(|attack| *attack != RIGHT) {
        if let Some((name, _)) = KINDS.iter().find(|(_, first)| *first == attack) {
            kinds.push(Kind { name, attacks: Vec::new() });
        }
        kinds.last_mut().expect("the first attack begins a kind").attacks.push(attack);
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::attacks::catalogue;

    fn column(endings: &[&str]) -> Column {
        let runs = endings.iter().map(|ending| Endings::from([("attack".to_owned(), ending.to_string())])).collect();
        Column { subject: Subject::default(), runs, pairs: [0.0; 2] }
    }

    #[test]
    fn every_kind_begins_somewhere_in_the_catalogue() {
        let catalogue = catalogue().unwrap();
        let found = kinds(&catalogue);
        assert_eq!(found.iter().map(|kind| kind.name).collect::<Vec<_>>(), KINDS.map(|(name, _)| name));
        assert_eq!(found.iter().map(|kind| kind.attacks.len()).sum::<usize>(), catalogue.len() - 1);
    }

    #[test]
    fn runs_that_agree_are_one_letter_and_others_are_counted() {
        assert_eq!(column(&["ended", "ended"]).cell("attack"), "e");
        assert_eq!(column(&["unnoticed", "ended", "harmless", "ended"]).cell("attack"), "e2 h1 -1");
        assert_eq!(column(&["absent"]).cell("attack"), "n/a");
    }

    #[test]
    fn harmless_is_stopped_and_not_noticed_and_a_hang_is_neither() {
        let mixed = column(&["ended", "harmless", "hung", "unnoticed"]);
        assert_eq!((mixed.stopped("attack"), mixed.noticed("attack")), (Some(0.5), Some(0.25)));
        assert_eq!(column(&["absent"]).stopped("attack"), None);
    }
}
