//! What a tool that watches memory says of a program.

/// Valgrind and AddressSanitizer begin their reports with `==PID==`, the allocator its own with its name.
const MARKS: [&str; 2] = ["==", "ferrimalloc: error"];

/// Whether a report has these words in this order, or, without words, no error; the error names what is wrong.
pub fn judge(report: &str, words: &[&str]) -> Result<(), String> {
    if words.is_empty() {
        return if MARKS.iter().any(|mark| report.contains(mark)) { Err("an error".to_owned()) } else { Ok(()) };
    }
    let mut rest = report;
    for word in words {
        let Some((_, after)) = rest.split_once(word) else { return Err(format!("no {word:?} where it should be")) };
        rest = after;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_must_be_there_in_order() {
        let report = "==1== Invalid read\n==1==    by main\n";
        assert!(judge(report, &["Invalid read", "main"]).is_ok());
        assert!(judge(report, &["main", "Invalid read"]).is_err());
        assert!(judge("all is well\n", &["Invalid read"]).is_err());
    }

    #[test]
    fn correct_programs_have_no_report() {
        assert!(judge("all is well\n", &[]).is_ok());
        assert!(judge("==1== Invalid read\n", &[]).is_err());
        assert!(judge("ferrimalloc: error: 0x10: double free", &[]).is_err());
    }
}
