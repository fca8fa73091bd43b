//! Which of the four ways is taken, from facts about the machine.
//!
//! Owns the order and the words for people who must help themselves.
//! Never looks at the machine: it is handed one.

use super::Kind;
use crate::GUEST_TARGET;

/// The packages of Debian and its kin that make a toolchain for guests.
pub(super) const PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// What there is to know before deciding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    /// The present compiler has a standard library for guests.
    pub(super) installed: bool,
    pub(super) rustup: Rustup,
    pub(super) distribution: Distribution,
    pub(super) apt: Apt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rustup {
    Absent,
    /// `RUSTUP_AUTO_INSTALL` is `0`: the machine's owner has said no.
    Refused,
    Usable,
    /// Tried, and the target is still not there.
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Distribution {
    Absent,
    /// A compiler and cargo without the sources of the standard library.
    NoSources,
    /// Older than the Rust that plugins are written for.
    TooOld,
    /// Complete but for a linker for WebAssembly.
    NoLinker,
    Usable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Apt {
    /// Not Debian or one of its kin.
    Absent,
    NotRoot,
    Usable,
    /// Tried, and there is still no complete toolchain.
    Failed,
}

/// The next thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Use(Kind),
    AddTarget,
    InstallPackages,
    GiveUp,
}

fn decide(facts: &Facts) -> Step {
    if facts.installed {
        Step::Use(Kind::Installed)
    } else if facts.rustup == Rustup::Usable {
        Step::AddTarget
    } else if facts.distribution == Distribution::Usable {
        Step::Use(Kind::Distribution)
    } else if facts.apt == Apt::Usable {
        Step::InstallPackages
    } else {
        Step::GiveUp
    }
}

/// A machine that can be looked at and added to.
pub(super) trait Machine {
    /// What is there now.
    fn facts(&self) -> Facts;
    /// `rustup target add`; the error is a line for people.
    fn add_target(&self) -> Result<(), String>;
    /// Installs [`PACKAGES`]; the error is a line for people.
    fn install_packages(&self, report: &mut dyn FnMut(&str)) -> Result<(), String>;
}

/// Takes the first way that leads to a toolchain. The error is the advice.
pub(super) fn settle(machine: &impl Machine, report: &mut dyn FnMut(&str)) -> Result<Kind, Vec<String>> {
    let (mut rustup_failed, mut apt_failed) = (false, false);
    loop {
        let mut facts = machine.facts();
        // A way is tried once: one that ended well and changed nothing has failed.
        if rustup_failed && facts.rustup == Rustup::Usable {
            facts.rustup = Rustup::Failed;
        }
        if apt_failed && facts.apt == Apt::Usable {
            facts.apt = Apt::Failed;
        }
        match decide(&facts) {
            Step::Use(kind) => return Ok(kind),
            Step::AddTarget => {
                report(&format!(
                    "{GUEST_TARGET} is not installed: running `rustup target add {GUEST_TARGET}`"
                ));
                if let Err(why) = machine.add_target() {
                    report(&format!("rustup could not add {GUEST_TARGET}: {why}"));
                }
                rustup_failed = true;
            }
            Step::InstallPackages => {
                report(&format!(
                    "{GUEST_TARGET} is not installed: getting {} through apt-get (about half a minute)",
                    PACKAGES.join(", ")
                ));
                if let Err(why) = machine.install_packages(report) {
                    report(&format!("apt-get could not install them: {why}"));
                }
                apt_failed = true;
            }
            Step::GiveUp => return Err(advice(&facts)),
        }
    }
}

/// Why each way is closed, and the two commands that would open one.
fn advice(facts: &Facts) -> Vec<String> {
    let rustup = match facts.rustup {
        Rustup::Absent => "rustup is not on the PATH",
        Rustup::Refused => "rustup was not called, because RUSTUP_AUTO_INSTALL is 0",
        Rustup::Usable | Rustup::Failed => "rustup could not add the target",
    };
    let distribution = match facts.distribution {
        Distribution::Absent => "there is no cargo and rustc of a distribution in /usr/bin",
        Distribution::NoSources => "the distribution's rustc has no sources of the standard library",
        Distribution::TooOld => {
            concat!("the distribution's rustc is older than ", env!("CARGO_PKG_RUST_VERSION"))
        }
        Distribution::NoLinker => {
            "the distribution's rustc has no linker for WebAssembly (rust-lld or wasm-ld)"
        }
        Distribution::Usable => "the distribution's toolchain is complete",
    };
    let apt = match facts.apt {
        Apt::Absent => "this is not Debian or one of its kin",
        Apt::NotRoot => "apt-get needs root",
        Apt::Usable | Apt::Failed => "apt-get could not install the packages",
    };
    vec![
        format!("{GUEST_TARGET} is not installed for the present rustc"),
        rustup.to_owned(),
        distribution.to_owned(),
        apt.to_owned(),
        "either of these would help:".to_owned(),
        format!("    rustup target add {GUEST_TARGET}"),
        format!(
            "    sudo apt-get install --no-install-recommends {}{}",
            PACKAGES.join(" "),
            if facts.distribution == Distribution::NoLinker { " lld" } else { "" }
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};

    const BARE: Facts = Facts {
        installed: false,
        rustup: Rustup::Absent,
        distribution: Distribution::Absent,
        apt: Apt::Absent,
    };

    /// A machine whose rustup and apt do what the test says they do.
    struct Pretend {
        facts: Cell<Facts>,
        rustup_works: bool,
        apt_works: bool,
        calls: RefCell<Vec<&'static str>>,
    }

    impl Machine for Pretend {
        fn facts(&self) -> Facts {
            self.facts.get()
        }
        fn add_target(&self) -> Result<(), String> {
            self.calls.borrow_mut().push("rustup");
            if !self.rustup_works {
                return Err("could not download file".to_owned());
            }
            self.facts.set(Facts { installed: true, ..self.facts.get() });
            Ok(())
        }
        fn install_packages(&self, _: &mut dyn FnMut(&str)) -> Result<(), String> {
            self.calls.borrow_mut().push("apt");
            if !self.apt_works {
                return Err("Unable to locate package".to_owned());
            }
            self.facts.set(Facts { distribution: Distribution::Usable, ..self.facts.get() });
            Ok(())
        }
    }

    /// Settles on a machine where everything works, and returns what was called.
    #[track_caller]
    fn check(facts: Facts, expected: Option<Kind>, calls: &[&str]) -> Vec<String> {
        check_where(facts, true, true, expected, calls)
    }

    /// Returns the lines that were reported, and the advice after them.
    #[track_caller]
    fn check_where(
        facts: Facts,
        rustup_works: bool,
        apt_works: bool,
        expected: Option<Kind>,
        calls: &[&str],
    ) -> Vec<String> {
        let machine = Pretend { facts: Cell::new(facts), rustup_works, apt_works, calls: RefCell::default() };
        let mut lines = Vec::new();
        let settled = settle(&machine, &mut |line: &str| lines.push(line.to_owned()));
        assert_eq!(settled.as_ref().ok().copied(), expected, "{settled:?}");
        assert_eq!(*machine.calls.borrow(), calls);
        lines.extend(settled.err().into_iter().flatten());
        lines
    }

    #[test]
    fn an_installed_target_wins_and_nothing_is_called() {
        let facts = Facts {
            installed: true,
            rustup: Rustup::Usable,
            distribution: Distribution::Usable,
            apt: Apt::Usable,
        };
        let lines = check(facts, Some(Kind::Installed), &[]);
        assert!(lines.is_empty(), "{lines:?}");
    }

    #[test]
    fn rustup_comes_before_the_distribution() {
        let facts =
            Facts { rustup: Rustup::Usable, distribution: Distribution::Usable, apt: Apt::Usable, ..BARE };
        let lines = check(facts, Some(Kind::Installed), &["rustup"]);
        assert_eq!(lines.len(), 1, "{lines:?}");
    }

    #[test]
    fn rustup_is_not_called_where_the_owner_said_no() {
        let refused = Facts { rustup: Rustup::Refused, ..BARE };
        check(Facts { distribution: Distribution::Usable, ..refused }, Some(Kind::Distribution), &[]);
        check(Facts { apt: Apt::Usable, ..refused }, Some(Kind::Distribution), &["apt"]);
        let lines = check(refused, None, &[]);
        assert!(lines.iter().any(|l| l.contains("RUSTUP_AUTO_INSTALL is 0")), "{lines:?}");
    }

    #[test]
    fn a_rustup_without_network_falls_through_to_the_distribution() {
        let facts = Facts { rustup: Rustup::Usable, apt: Apt::Usable, ..BARE };
        let lines = check_where(facts, false, true, Some(Kind::Distribution), &["rustup", "apt"]);
        assert!(lines.iter().any(|l| l.contains("could not download file")), "{lines:?}");
    }

    #[test]
    fn a_distribution_that_is_there_is_used_without_apt() {
        let facts = Facts { distribution: Distribution::Usable, apt: Apt::Usable, ..BARE };
        check(facts, Some(Kind::Distribution), &[]);
    }

    #[test]
    fn an_incomplete_distribution_is_completed_through_apt() {
        for distribution in
            [Distribution::NoSources, Distribution::TooOld, Distribution::NoLinker, Distribution::Absent]
        {
            let facts = Facts { distribution, apt: Apt::Usable, ..BARE };
            check(facts, Some(Kind::Distribution), &["apt"]);
        }
    }

    #[test]
    fn each_way_is_tried_once_and_then_the_two_commands_are_given() {
        let facts = Facts { rustup: Rustup::Usable, apt: Apt::Usable, ..BARE };
        let lines = check_where(facts, false, false, None, &["rustup", "apt"]);
        let advice = lines.join("\n");
        assert!(advice.contains("    rustup target add wasm32-unknown-unknown"), "{advice}");
        assert!(advice.contains("rustc-web cargo-web rust-web-src"), "{advice}");
    }

    #[test]
    fn the_advice_says_why_each_way_is_closed() {
        let facts = Facts { distribution: Distribution::NoLinker, apt: Apt::NotRoot, ..BARE };
        let advice = check(facts, None, &[]).join("\n");
        assert!(advice.contains("rustup is not on the PATH"), "{advice}");
        assert!(advice.contains("no linker for WebAssembly"), "{advice}");
        assert!(advice.contains("apt-get needs root"), "{advice}");
        assert!(advice.contains("rust-web-src lld"), "{advice}");
    }
}
