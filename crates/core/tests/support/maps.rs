//! What the kernel tells of the process's mappings.

/// Whether the mapping at an address is inaccessible.
pub fn is_inaccessible(address: usize) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux");
    maps.lines().any(|line| {
        let (range, rest) = line.split_once(' ').expect("a range");
        let (start, end) = range.split_once('-').expect("two addresses");
        let parse = |text| usize::from_str_radix(text, 16).expect("an address");
        (parse(start)..parse(end)).contains(&address) && rest.starts_with("---")
    })
}
