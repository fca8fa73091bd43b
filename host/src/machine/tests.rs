//! What fits on which machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

const GIB: u64 = 1 << 30;
/// A machine that bounds nothing but what a test says.
const LARGE: Machine = Machine { mappings: u64::MAX, memory_bytes: 1_024 * GIB, descriptors: u64::MAX };

fn sizes(machine: Machine) -> (u32, u32, u64) {
    let sizes = machine.fit(&Asked::default()).expect("what nobody asked for fits");
    (sizes.small, sizes.large, sizes.memory_bytes)
}

#[test]
fn what_nobody_asked_for_is_what_fits() {
    assert_eq!(sizes(LARGE), (1_000, 16, GIB));
    assert_eq!(sizes(Machine { mappings: 65_530, descriptors: 20_000, ..LARGE }), (1_000, 16, GIB));
    assert_eq!(sizes(Machine { memory_bytes: 24 * GIB, ..LARGE }), (1_000, 16, 768 << 20));
    assert_eq!(sizes(Machine { memory_bytes: 2 * GIB, ..LARGE }), (128, 16, 64 << 20));
    assert_eq!(sizes(Machine { mappings: 5_000, ..LARGE }), (134, 16, GIB));
    assert_eq!(sizes(Machine { descriptors: 1_024, ..LARGE }), (48, 16, GIB));
    assert_eq!(sizes(Machine { descriptors: 600, ..LARGE }), (5, 6, GIB));
}

fn refused(machine: Machine, asked: Asked) -> String {
    machine.fit(&asked).expect_err("it does not fit").to_string()
}

#[test]
fn what_is_asked_for_and_does_not_fit_is_refused_with_the_limit_and_what_to_set() {
    let many =
        Asked { small: Some(10_000), large: Some(2_000), memory_bytes: Some(64 << 20), ..Asked::default() };
    let told = refused(Machine { mappings: 65_530, ..LARGE }, many);
    assert!(told.contains("up to 76096 memory mappings and `vm.max_map_count` is 65530"), "{told}");
    assert!(told.contains("sysctl -w vm.max_map_count=76096") && told.contains("10239 together"), "{told}");
    let told =
        refused(Machine { descriptors: 1_024, ..LARGE }, Asked { small: Some(100), ..Asked::default() });
    assert!(told.contains("up to 1352 files open and the process may have 1024"), "{told}");
    assert!(told.contains("LimitNOFILE=1352") && told.contains("64 together"), "{told}");
    let told =
        refused(Machine { memory_bytes: GIB, ..LARGE }, Asked { small: Some(100), ..Asked::default() });
    assert!(
        told.contains("may take 400 MiB") && told.contains("a quarter") && told.contains("at most 64"),
        "{told}"
    );
    let huge = Asked { large: Some(16), memory_bytes: Some(GIB), ..Asked::default() };
    let told = refused(Machine { memory_bytes: 24 * GIB, ..LARGE }, huge);
    assert!(
        told.contains("may take 16384 MiB") && told.contains("half of what this machine has is 12288"),
        "{told}"
    );
    let told = refused(Machine { memory_bytes: 64 << 20, ..LARGE }, Asked::default());
    assert!(told.contains("5 small instances may take 20 MiB"), "{told}");
}

#[test]
fn of_what_is_asked_for_and_what_is_not_the_latter_gives_way() {
    let machine = Machine { memory_bytes: 8 * GIB, ..LARGE };
    let sizes = machine.fit(&Asked { memory_bytes: Some(512 << 20), ..Asked::default() }).expect("fits");
    assert_eq!((sizes.large, sizes.memory_bytes), (8, 512 << 20));
    let sizes = machine.fit(&Asked { large: Some(64), ..Asked::default() }).expect("fits");
    assert_eq!((sizes.large, sizes.memory_bytes), (64, 64 << 20));
    let few = Machine { descriptors: 512 + 80, ..LARGE };
    let sizes = few.fit(&Asked { small: Some(5), ..Asked::default() }).expect("fits");
    assert_eq!((sizes.small, sizes.large), (5, 5));
}

#[test]
fn memory_is_what_the_machine_or_a_control_group_says() {
    assert_eq!(total("MemFree: 1 kB\nMemTotal:       24684096 kB\n"), Some(24_684_096 << 10));
    assert_eq!(total("nothing"), None);
    let files = memory_files("4:memory,hugetlb:/a/b\n3:cpu:/x\n0::/c\n");
    let expected = [
        "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/c/memory.max",
        "/sys/fs/cgroup/memory.max",
    ];
    assert_eq!(files, expected.map(PathBuf::from));
    let machine = Machine::read();
    assert!(machine.memory_bytes > 64 << 20 && machine.descriptors > 64, "{machine:?}");
}

/// A disk with this floor, and what changes how much of it is free, all in MiB.
fn disk(floor: u64) -> (Disk, impl Fn(u64)) {
    let free = Arc::new(AtomicU64::new(1 << 40));
    let told = free.clone();
    let disk = Disk::told_by(Arc::new(move || Ok(told.load(Ordering::Relaxed))), floor << 20);
    (disk, move |mib| free.store(mib << 20, Ordering::Relaxed))
}

#[test]
fn a_disk_is_low_below_its_floor_until_it_has_a_bit_more() {
    let (disk, set) = disk(800);
    let look = |mib| {
        set(mib);
        disk.look().is_ok()
    };
    assert!(look(800));
    assert!(!look(799) && disk.is_low());
    assert!(!look(899), "a bit more");
    assert!(look(900) && !disk.is_low());
    disk.found_full();
    assert!(disk.is_low(), "whoever wrote knows better");
    assert!(look(900));
}

#[test]
fn a_disk_without_a_floor_is_low_when_somebody_found_no_room() {
    let (disk, set) = disk(0);
    set(0);
    assert!(disk.look().is_ok());
    disk.found_full();
    assert!(disk.is_low() && disk.look().is_err(), "there is no room yet");
    set(1);
    assert!(disk.look().is_ok(), "there is some to try with");
}
