//! Starting: a plugin from the compile cache, and a whole host.

use sublane::bindings::agent::AgentPre;
use sublane::engine::cache::Cache;
use sublane::engine::{Engines, PoolSizes};
use sublane::plugin::Allow;
use sublane::versions::Versions;
use sublane_core::Timestamp;
use sublane_tests::component;
use wasmtime::component::{Component, Linker};

use crate::bare;
use crate::report::{Goal, Report, median};
use crate::serving::Serving;

/// The first spawn of a version that the host keeps and whose code is in the cache, against mapping that
/// code plus a bare first spawn of it. Beside it the floor: the limit, and what the code's digest takes.
pub(crate) async fn cold(report: &mut Report, rounds: usize) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let cache = Cache::open(&directory.path().join("cache"))?;
    let engines = Engines::new(PoolSizes::default()).map_err(|error| anyhow::anyhow!("{error:#}"))?;
    let versions = Versions::open(engines, cache, &directory.path().join("components"))?;
    let engines = versions.engines();
    let (mut ours, mut limits, mut floors) = (Vec::new(), Vec::new(), Vec::new());
    let warm = versions.load(&component("bench"), &Allow::Asked, Timestamp(0)).await?;
    // Known by its digest alone, and in nobody's memory.
    let (class, digest, memory_bytes) = (warm.class, warm.digest.clone(), warm.manifest.memory_bytes);
    drop(warm);
    let code = std::fs::read_dir(directory.path().join("cache"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "cwasm"))
        .ok_or_else(|| anyhow::anyhow!("nothing in the cache"))?;
    let engine = &engines.of(class).engine;
    let input = bare::input();
    for _ in 0..rounds * 5 {
        let begin = crate::now();
        let plugin = versions.load_kept(&digest, &Allow::Asked).await?;
        let pre = plugin.agent_pre.as_ref().ok_or_else(|| anyhow::anyhow!("it has agents"))?;
        bare::spawn(engine, memory_bytes, pre, &input).await;
        ours.push(begin.elapsed().as_nanos() as f64 / 1e3);
        drop(plugin);
        let begin = crate::now();
        #[expect(unsafe_code, reason = "the limit maps the same file that the cache has just verified")]
        // SAFETY: the file was written by the cache above, in a directory of this process alone.
        let component = unsafe { Component::deserialize_file(engine, &code) };
        let component = component.map_err(|error| anyhow::anyhow!("{error:#}"))?;
        let mut linker = Linker::new(engine);
        sublane::imports::link(&mut linker, &component).map_err(|error| anyhow::anyhow!("{error:#}"))?;
        let pre = linker.instantiate_pre(&component).and_then(AgentPre::new);
        let pre = pre.map_err(|error| anyhow::anyhow!("{error:#}"))?;
        bare::spawn(engine, memory_bytes, &pre, &input).await;
        limits.push(begin.elapsed().as_nanos() as f64 / 1e3);
        let begin = crate::now();
        let file = std::fs::File::open(&code)?;
        #[expect(unsafe_code, reason = "nobody changes a file of this cache")]
        // SAFETY: the file was written by the cache above, in a directory of this process alone.
        let mapped = unsafe { memmap2::MmapOptions::new().populate().map(&file) }?;
        std::hint::black_box(xxhash_rust::xxh3::xxh3_128(&mapped));
        drop(mapped);
        let checks = begin.elapsed().as_nanos() as f64 / 1e3;
        floors.push(limits.last().expect("one was pushed") + checks);
    }
    report.add("spawn.floor.cold", "us", median(&mut floors), median(&mut limits), Goal::None);
    report.add("spawn.cold", "us", median(&mut ours), median(&mut limits), Goal::AtMost(2.0));
    Ok(())
}

/// A process of the `sublane` binary: from its start to readiness, and what it holds then.
pub(crate) fn process(report: &mut Report, rounds: usize) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let config = directory.path().join("sublane.toml");
    let plugin = |name: &str| {
        format!(
            "[plugins.{name}]\ncomponent = {:?}\nallow = \"asked\"\n",
            component(name).display().to_string()
        )
    };
    let channel = "[channels.console]\nkind = \"console\"\nagent = \"concierge/concierge\"\n";
    std::fs::write(&config, format!("{}{channel}", plugin("concierge")))?;
    let (mut millis, mut mebibytes) = (Vec::new(), Vec::new());
    for round in 0..rounds + 1 {
        let begin = crate::now();
        let host = Serving::start(&config)?;
        let elapsed = begin.elapsed().as_secs_f64() * 1e3;
        // The first start compiles the plugin; the cache is warm from then on.
        if round > 0 {
            millis.push(elapsed);
            mebibytes.push(host.resident_bytes()? / f64::from(1 << 20));
        }
    }
    report.add("host.start", "ms", median(&mut millis), 0.0, Goal::ValueAtMost(200.0));
    report.add("host.rss", "MiB", median(&mut mebibytes), 0.0, Goal::ValueAtMost(64.0));
    Ok(())
}
