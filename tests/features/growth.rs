//! What a host holds comes to a plateau: the short form of `cargo xtask soak`.

use std::process::Command;

use serde_json::Value;
use sublane_tests::soak::{Sample, growing};

/// Complaint 54155 (R43): memory grew from 389 MB to 14.7 GB within four days, and hundreds of
/// sessions were kept. In a process of its own, whose memory is nobody else's.
/// Complaints 91588, 69628, 86745 and 121203 (R43): memory grew for days, and what was over was kept.
#[test]
fn what_a_host_holds_after_two_thousand_runs_is_what_it_held_before() {
    let soak = Command::new(env!("CARGO_BIN_EXE_soak")).args(["--runs", "2000", "--json"]).output();
    let soak = soak.expect("it starts");
    let said = String::from_utf8_lossy(&soak.stdout);
    assert!(soak.status.success(), "{said}\n{}", String::from_utf8_lossy(&soak.stderr));
    let said: Value = serde_json::from_str(&said).expect("one JSON object");
    assert_eq!(said["tenths"].as_array().map(Vec::len), Some(10), "{said}");
    assert_eq!(said["tenths"][9]["runs"], 2_000, "{said}");
    assert_eq!(said["tenths"][9]["runs-kept"], 0, "{said}");
    assert_eq!(said["tenths"][9]["artifact-bytes"], 0, "{said}");
}

#[test]
fn what_grows_is_named() {
    let steady = Sample { runs: 0, memory_kib: 50_000, files: 30, store: 4 << 20, artifacts: 0, kept: 0 };
    assert_eq!(growing(&[steady; 10]), Vec::<String>::new());
    assert_eq!(growing(&[steady; 4]), ["too little was measured"]);
    let check = |expected: &str, grow: fn(&mut Sample, u64)| {
        let mut samples = [steady; 10];
        samples.iter_mut().zip(0..).for_each(|(sample, part)| grow(sample, part));
        assert_eq!(growing(&samples), [expected]);
    };
    check("memory grew from 90000 to 140000", |sample, part| sample.memory_kib += 10_000 * part);
    check("open files grew from 34 to 39", |sample, part| sample.files += part);
    check("store grew from 37748736 to 79691776", |sample, part| sample.store += part << 23);
    check("artifacts grew from 400000 to 900000", |sample, part| sample.artifacts += 100_000 * part);
    check("runs kept grew from 4 to 9", |sample, part| sample.kept += part);
}
