//! The examples in other languages, built as their READMEs say: by the same commands, beside a copy
//! of the contract.
//!
//! Owns what is below `target/languages`: built once for each content of example and contract, never
//! skipped. Where a toolchain cannot be had, the test fails and says so.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use sublane::engine::cache::Cache;
use sublane::engine::{Engines, PoolSizes};
use sublane::error::chain;
use sublane::plugin::{Allow, Plugin};
use sublane_tests::repository;
use tempfile::TempDir;

/// An example in another language than Rust.
pub(super) struct Language {
    /// Where it is.
    example: &'static str,
    /// What it consists of, beside the README.
    sources: &'static [&'static str],
    built: OnceLock<PathBuf>,
}

pub(super) static JAVASCRIPT: Language = Language {
    example: "examples/javascript",
    sources: &["package.json", "plugin.js", "plugin.toml"],
    built: OnceLock::new(),
};

pub(super) static PYTHON: Language = Language {
    example: "examples/python",
    sources: &["requirements.txt", "app.py", "plugin.toml"],
    built: OnceLock::new(),
};

impl Language {
    /// The id of the plugin, which is the name of its directory and of its component.
    pub(super) fn id(&self) -> &'static str {
        self.example.rsplit('/').next().unwrap_or_default()
    }

    /// Its component, built when it is not there.
    pub(super) fn component(&self) -> PathBuf {
        let built = self.built.get_or_init(|| {
            let built = self.build();
            compile(&built.join(format!("{}.wasm", self.id())));
            built
        });
        built.join(format!("{}.wasm", self.id()))
    }

    /// Its component with more to ask for, in a directory of its own.
    pub(super) fn component_with(&self, asks: &str) -> (TempDir, PathBuf) {
        let component = self.component();
        let place = tempfile::tempdir_in(repository().join("target")).expect("target can be written");
        let copy = place.path().join(component.file_name().expect("a file"));
        fs::hard_link(&component, &copy).expect("on the same file system");
        let manifest = fs::read_to_string(component.with_file_name("plugin.toml")).expect("it is there");
        fs::write(place.path().join("plugin.toml"), format!("{manifest}{asks}")).expect("written");
        (place, copy)
    }

    /// The two commands of the README.
    fn commands(&self) -> Vec<String> {
        let readme = fs::read_to_string(repository().join(self.example).join("README.md")).expect("a README");
        let commands: Vec<String> =
            readme.lines().filter_map(|line| line.strip_prefix("$ ")).map(str::to_owned).collect();
        assert_eq!(commands.len(), 2, "the README of {} has two commands", self.example);
        commands
    }

    fn build(&self) -> PathBuf {
        let all = repository().join("target/languages");
        fs::create_dir_all(&all).expect("target can be written");
        let commands = self.commands();
        let mut hasher = DefaultHasher::new();
        commands.hash(&mut hasher);
        let fresh = tempfile::tempdir_in(&all).expect("target can be written");
        let example = fresh.path().join(self.example);
        fs::create_dir_all(&example).expect("target can be written");
        for source in self.sources {
            copy(&repository().join(self.example).join(source), &example.join(source), &mut hasher);
        }
        fs::create_dir(fresh.path().join("wit")).expect("target can be written");
        let mut contract: Vec<_> = fs::read_dir(repository().join("wit"))
            .expect("the contract")
            .map(|e| e.expect("a file").path())
            .collect();
        contract.sort();
        for file in contract {
            copy(&file, &fresh.path().join("wit").join(file.file_name().expect("a name")), &mut hasher);
        }
        let built = all.join(format!("{}-{:016x}", self.id(), hasher.finish()));
        if built.exists() {
            return built;
        }
        for command in commands {
            let ran = Command::new("sh").args(["-c", &command]).current_dir(&example).output();
            let ran = ran.unwrap_or_else(|error| panic!("`{command}` does not start: {error}"));
            let said = [ran.stdout, ran.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(
                ran.status.success(),
                "`{command}` failed in a copy of {}. It needs node with npm, or python3 with venv and pip, and \
                 their registries: are they there? It said: {said}",
                self.example
            );
        }
        let place = tempfile::tempdir_in(&all).expect("target can be written").keep();
        for file in [format!("{}.wasm", self.id()), "plugin.toml".to_owned()] {
            fs::rename(example.join(&file), place.join(&file))
                .unwrap_or_else(|error| panic!("the commands of {} made no {file}: {error}", self.example));
        }
        // Another test process may have been quicker.
        if let Err(error) = fs::rename(&place, &built) {
            assert!(built.exists(), "{}: {error}", built.display());
        }
        built
    }
}

/// Compiles a component into the cache that tests share: once, and not once in each test.
fn compile(component: &Path) {
    let load = async {
        let engines = Engines::new(PoolSizes { small: 5, large: 5, ..PoolSizes::default() })
            .expect("the engines start");
        let cache = Cache::open(&repository().join("target/test-cache")).expect("the cache opens");
        Plugin::load(&engines, &cache, component, &Allow::Asked).await.map(drop)
    };
    // A test has a runtime already, in which no other one can be waited for.
    let loaded = std::thread::scope(|scope| {
        let runtime = || tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        scope.spawn(move || runtime().block_on(load)).join().expect("it does not panic")
    });
    loaded.unwrap_or_else(|error| panic!("{}", chain(&error)));
}

fn copy(from: &Path, to: &Path, hasher: &mut DefaultHasher) {
    let bytes = fs::read(from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    bytes.hash(hasher);
    fs::write(to, bytes).expect("target can be written");
}
