//! `sublane completions`, and `sublane dist` for packagers: what shells and `man` know of the
//! command line, made from its own description.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{CommandFactory as _, ValueEnum};
use clap_complete::Shell;

use super::{Cli, Exit, Failed, Result, complain, say};

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  sublane completions bash > ~/.local/share/bash-completion/completions/sublane
  sublane completions zsh > ~/.zfunc/_sublane
  sublane completions fish > ~/.config/fish/completions/sublane.fish";

/// Print what a shell needs to complete `sublane`
#[derive(Debug, clap::Args)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub(super) struct Completions {
    /// The shell
    shell: Known,
}

/// Write completions and manual pages into a directory, as a package has them
#[derive(Debug, clap::Args)]
pub(super) struct Dist {
    /// The directory; `completions` and `man` are made in it
    directory: PathBuf,
}

/// The shells that are completed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Known {
    Bash,
    Zsh,
    Fish,
}

impl Known {
    const ALL: [Self; 3] = [Self::Bash, Self::Zsh, Self::Fish];

    fn script(self) -> Vec<u8> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell(), &mut Cli::command(), "sublane", &mut script);
        script
    }

    fn shell(self) -> Shell {
        match self {
            Self::Bash => Shell::Bash,
            Self::Zsh => Shell::Zsh,
            Self::Fish => Shell::Fish,
        }
    }

    /// What the shell looks for.
    fn file(self) -> &'static str {
        match self {
            Self::Bash => "sublane",
            Self::Zsh => "_sublane",
            Self::Fish => "sublane.fish",
        }
    }
}

impl Completions {
    pub(super) fn run(self) -> Result {
        let script = String::from_utf8(self.shell.script()).map_err(Failed::wrong)?;
        say(&script);
        Ok(Exit::Done)
    }
}

impl Dist {
    pub(super) fn run(self) -> Result {
        let (completions, man) = (self.directory.join("completions"), self.directory.join("man"));
        for directory in [&completions, &man] {
            std::fs::create_dir_all(directory)
                .with_context(|| format!("{} cannot be made", directory.display()))?;
        }
        for shell in Known::ALL {
            let file = completions.join(shell.file());
            std::fs::write(&file, shell.script())
                .with_context(|| format!("{} cannot be written", file.display()))?;
        }
        clap_mangen::generate_to(Cli::command(), &man)
            .with_context(|| format!("the pages cannot be written into {}", man.display()))?;
        complain(&format!("wrote {} and {}", completions.display(), man.display()));
        Ok(Exit::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::process::Command;

    fn made() -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a directory for the test");
        let made = Dist { directory: directory.path().to_owned() }.run();
        assert!(matches!(made, Ok(Exit::Done)), "{made:?}");
        directory
    }

    /// The names of the pages of a command and of all below it.
    fn pages(command: &clap::Command, above: &str, names: &mut Vec<String>) {
        let name =
            if above.is_empty() { "sublane".to_owned() } else { format!("{above}-{}", command.get_name()) };
        for below in command.get_subcommands() {
            pages(below, &name, names);
        }
        names.push(name);
    }

    #[test]
    fn every_command_has_a_page() {
        let directory = made();
        let mut names = Vec::new();
        pages(&Cli::command(), "", &mut names);
        assert!(names.len() > 20, "{names:?}");
        for name in names {
            let file = directory.path().join("man").join(format!("{name}.1"));
            let page = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{name}");
        }
    }

    /// What bash offers for the last of these words.
    fn offered(script: &Path, words: &[&str]) -> String {
        let last = words.len() - 1;
        let line = format!(
            "source {}; COMP_WORDS=({}); COMP_CWORD={last}; _sublane sublane '{}' '{}'; echo \"${{COMPREPLY[*]}}\"",
            script.display(),
            words.join(" "),
            words[last],
            words[last - 1],
        );
        let output = Command::new("bash").args(["--norc", "-c", &line]).output().expect("bash is here");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    #[test]
    fn bash_completes_commands_options_and_values() {
        let directory = made();
        let script = directory.path().join("completions/sublane");
        let parsed = Command::new("bash").arg("-n").arg(&script).output().expect("bash is here");
        assert!(parsed.status.success(), "{}", String::from_utf8_lossy(&parsed.stderr));
        assert_eq!(offered(&script, &["sublane", "runs", "l"]), "list logs");
        assert_eq!(offered(&script, &["sublane", "runs", "logs", "--fo"]), "--follow");
        assert_eq!(offered(&script, &["sublane", "runs", "logs", "--level", "w"]), "warn");
    }

    #[test]
    fn each_shell_knows_the_commands() {
        let directory = made();
        for shell in Known::ALL {
            let file = directory.path().join("completions").join(shell.file());
            let script = std::fs::read_to_string(file).expect("it is there");
            assert!(script.contains("deliveries") && script.contains("dismiss"), "{shell:?}");
        }
    }
}
