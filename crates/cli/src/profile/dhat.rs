//! DHAT's JSON, for its viewer (`dh_view.html` of valgrind) and Firefox Profiler.
//!
//! Numbers are estimates. The most that a stack ever had in use is not recorded; the greater of what it had at the peak of all and
//! at the end stands for it, and the end for the peak's time.
//!
//! Source: Valgrind manual, "DHAT: a dynamic heap analysis tool", file format 2.

use super::{LIFETIME, Measure, Profile};
use serde_json::{Value, json};

pub fn json(profile: &Profile) -> Value {
    let place = |frame: &super::Frame| frame.place().map(|place| format!(" ({place})")).unwrap_or_default();
    let names = profile.frames.iter().map(|frame| format!("{}{}", frame.name, place(frame)));
    let table: Vec<String> = std::iter::once("[root]".to_owned()).chain(names).collect();
    let points: Vec<Value> = profile
        .samples
        .iter()
        .map(|sample| {
            let of = |measure: Measure| (measure.bytes(&sample.values), measure.blocks(&sample.values));
            let (all, peak, end) = (of(Measure::Allocated), of(Measure::Peak), of(Measure::InUse));
            json!({
                "tb": all.0, "tbk": all.1, "tl": sample.values[LIFETIME],
                "mb": peak.0.max(end.0), "mbk": peak.1.max(end.1),
                "gb": peak.0, "gbk": peak.1, "eb": end.0, "ebk": end.1,
                "fs": sample.stack.iter().map(|frame| frame + 1).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "dhatFileVersion": 2, "mode": "heap", "verb": "Allocated", "bklt": true, "bkacc": false,
        "tu": "ms", "Mtu": "s", "tuth": 10,
        "cmd": profile.command, "pid": profile.pid, "te": profile.millis, "tg": profile.millis,
        "pps": points, "ftbl": table,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_have_what_the_format_wants() {
        let value = json(&super::super::tests::example());
        let point = &value["pps"][0];
        for (name, number) in [("tb", 1000), ("tbk", 10), ("tl", 70), ("gb", 800), ("eb", 500), ("ebk", 5), ("mb", 800)]
        {
            assert_eq!(point[name], number, "{name}");
        }
        let names: Vec<&str> = point["fs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|frame| value["ftbl"][frame.as_u64().unwrap() as usize].as_str().unwrap())
            .collect();
        assert_eq!(names, ["make<a;b> (a.c:30)", "work (a.c:20)", "main (a.c:10)"]);
    }
}
