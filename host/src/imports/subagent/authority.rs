//! Scopes and grants between the WIT's types and the core's. Nothing here decides.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use sublane_core::grants::{
    FileGrant, FileMode, FilePath, HttpGrant, KvGrant, KvMode, METHODS, Place, SecretGrant, SpawnGrant,
    ToolGrant,
};
use sublane_core::{ImportError, PurseAsk, RunSpec, Scope, Share};

use crate::bindings::sublane::plugin::subagent;

fn invalid(error: impl Display) -> ImportError {
    ImportError::Invalid(error.to_string())
}

/// Texts as what they mean; the first that means nothing is the error.
fn parsed<T: FromStr<Err: Display>>(texts: Vec<String>) -> Result<Vec<T>, ImportError> {
    texts.iter().map(|text| text.parse().map_err(invalid)).collect()
}

/// A scope that a guest asks for, parsed.
pub(super) fn scope_from_guest(
    scope: subagent::Scope,
    timeout_ms: Option<u64>,
) -> Result<Scope, ImportError> {
    let spawns = Share::Exactly(scope.spawn.as_ref().map_or(0, |spawn| u64::from(spawn.total)));
    let spawn = match scope.spawn {
        Some(spawn) => Some(SpawnGrant {
            agents: parsed(spawn.agents)?,
            depth: spawn.depth,
            active_children: spawn.active_children,
        }),
        None => None,
    };
    let tools = scope
        .tools
        .into_iter()
        .map(|tool| ToolGrant { plugin: tool.plugin, tools: (!tool.tools.is_empty()).then_some(tool.tools) });
    let kv = scope.kv.into_iter().map(|kv| KvGrant {
        bucket: kv.bucket,
        prefix: kv.prefix,
        mode: if kv.write { KvMode::ReadWrite } else { KvMode::Read },
    });
    let (may_request, may_ask) = (!scope.http.is_empty(), !scope.models.is_empty());
    Ok(Scope {
        spawn,
        channels: parsed(scope.channels)?,
        tools: tools.collect(),
        kv: kv.collect(),
        http: scope.http.into_iter().map(http).collect::<Result<_, _>>()?,
        files: scope.files.into_iter().map(files).collect::<Result<_, _>>()?,
        secrets: scope.secrets.into_iter().map(secret).collect::<Result<_, _>>()?,
        models: parsed(scope.models)?,
        artifacts: scope.artifacts,
        purse: PurseAsk {
            cpu_us: Share::of(scope.cpu.map(|ms| ms.saturating_mul(1_000)), true),
            spawns,
            artifact_bytes: Share::of(scope.artifact_bytes, scope.artifacts),
            host_calls: Share::of(scope.host_calls, true),
            requests: Share::of(scope.requests, may_request),
            bytes_out: Share::of(scope.bytes_out, may_request),
            bytes_in: Share::of(scope.bytes_in, may_request),
            tokens: Share::of(scope.tokens, may_ask),
            money_micros: Share::of(scope.money_micros, may_ask),
        },
        memory_bytes: scope.memory_bytes,
        timeout: timeout_ms.map(Duration::from_millis),
    })
}

fn http(scope: subagent::HttpScope) -> Result<HttpGrant, ImportError> {
    if let Some(method) = scope.methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
        let method: String = method.chars().take(40).collect();
        return Err(invalid(format_args!("{method:?} is no method; there are {}", METHODS.join(", "))));
    }
    Ok(HttpGrant { to: scope.to.parse().map_err(invalid)?, methods: scope.methods })
}

fn files(scope: subagent::FileScope) -> Result<FileGrant, ImportError> {
    Ok(FileGrant {
        root: scope.root,
        path: FilePath::new(scope.path).map_err(invalid)?,
        mode: if scope.write { FileMode::ReadWrite } else { FileMode::Read },
    })
}

fn secret(scope: subagent::SecretScope) -> Result<SecretGrant, ImportError> {
    let place = match scope.place {
        subagent::SecretPlace::Header(name) => Place::Header(name.to_ascii_lowercase()),
        subagent::SecretPlace::Query(name) => Place::Query(name),
        subagent::SecretPlace::Body(name) => Place::Body(name),
    };
    Ok(SecretGrant { name: scope.name, place, audience: scope.audience.parse().map_err(invalid)? })
}

fn texts(items: &[impl ToString]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

/// The effective grants of a run, for a receipt.
pub(super) fn grants_to_guest(run: &RunSpec) -> subagent::Grants {
    let (grants, purse) = (&run.grants, &run.purse);
    subagent::Grants {
        spawn: grants.spawn().map(|spawn| subagent::SpawnScope {
            agents: texts(&spawn.agents),
            depth: spawn.depth,
            active_children: spawn.active_children,
            total: u32::try_from(purse.spawns).unwrap_or(u32::MAX),
        }),
        channels: texts(grants.channels()),
        tools: grants.tools().iter().map(tool_to_guest).collect(),
        kv: grants.kv().iter().map(kv_to_guest).collect(),
        http: grants.http().iter().map(http_to_guest).collect(),
        files: grants.files().iter().map(files_to_guest).collect(),
        secrets: grants.secrets().iter().map(secret_to_guest).collect(),
        models: texts(grants.models()),
        artifacts: grants.artifacts(),
        artifact_bytes: purse.artifact_bytes,
        cpu: purse.cpu_us / 1_000,
        host_calls: purse.host_calls,
        requests: purse.requests,
        bytes_out: purse.bytes_out,
        bytes_in: purse.bytes_in,
        tokens: purse.tokens,
        money_micros: purse.money_micros,
        memory_bytes: grants.caps().memory_bytes,
        deadline: grants.caps().deadline.0,
    }
}

fn tool_to_guest(tool: &ToolGrant) -> subagent::ToolScope {
    subagent::ToolScope { plugin: tool.plugin.clone(), tools: tool.tools.clone().unwrap_or_default() }
}

fn kv_to_guest(kv: &KvGrant) -> subagent::KvScope {
    let write = kv.mode == KvMode::ReadWrite;
    subagent::KvScope { bucket: kv.bucket.clone(), prefix: kv.prefix.clone(), write }
}

fn http_to_guest(http: &HttpGrant) -> subagent::HttpScope {
    subagent::HttpScope { to: http.to.to_string(), methods: http.methods.clone() }
}

fn files_to_guest(files: &FileGrant) -> subagent::FileScope {
    let write = files.mode == FileMode::ReadWrite;
    subagent::FileScope { root: files.root.clone(), path: files.path.names().to_vec(), write }
}

fn secret_to_guest(secret: &SecretGrant) -> subagent::SecretScope {
    let place = match secret.place.clone() {
        Place::Header(name) => subagent::SecretPlace::Header(name),
        Place::Query(name) => subagent::SecretPlace::Query(name),
        Place::Body(name) => subagent::SecretPlace::Body(name),
    };
    subagent::SecretScope { name: secret.name.clone(), place, audience: secret.audience.to_string() }
}
