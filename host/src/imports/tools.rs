//! `tools`: calling another plugin's tool, in the caller's slot.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sublane_core::{Import, ImportError, LimitHit, Path};

use super::translate::answer;
use super::{Ctx, Exit, Instance, Live, MAX_JSON_BYTES, check_input, check_json};
use crate::bindings::sublane::plugin::{tools, types};
use crate::engine::limiter::Limiter;
use crate::engine::pool::MAX_CALL_DEPTH;
use crate::journal::Frame;
use crate::plugin::Plugin;
use crate::runner;
use crate::versions::Unavailable;

type Reply<T> = wasmtime::Result<Result<T, types::Error>>;

/// What a tool call came to, as the journal keeps it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Called {
    /// Its result as JSON text.
    Result(String),
    /// The tool said that it failed.
    Failed(String),
    /// Its instance did not come to an end of its own.
    Crashed(String),
}

/// A tool as the journal keeps it.
#[derive(Debug, Serialize, Deserialize)]
struct Listed {
    plugin: String,
    name: String,
    description: String,
    input_schema: String,
}

impl tools::Host for Ctx {
    async fn list_tools(&mut self) -> Reply<Vec<tools::Tool>> {
        let import = Import::ListTools;
        let live = live!(self, import);
        let listed = live.effect(import, live.args(import, &[]), async |live| {
            let mut listed = Vec::new();
            for plugin in live.attempt.host.plugins().iter() {
                let id = &plugin.manifest.id;
                for tool in plugin.tools.iter().filter(|tool| live.grants.may_call(id, &tool.name).is_ok()) {
                    listed.push(Listed {
                        plugin: id.clone(),
                        name: tool.name.clone(),
                        description: tool.description.clone(),
                        input_schema: tool.input_schema.to_string(),
                    });
                }
            }
            Ok(Ok(listed))
        });
        let to_guest = |tool: Listed| tools::Tool {
            plugin: tool.plugin,
            name: tool.name,
            description: tool.description,
            input_schema: tool.input_schema,
        };
        answer(listed.await.map(|listed| listed.map(|tools| tools.into_iter().map(to_guest).collect())))
    }

    async fn call_tool(
        &mut self,
        plugin: String,
        tool: String,
        arguments: String,
    ) -> wasmtime::Result<Result<String, tools::CallError>> {
        let import = Import::CallTool;
        let live = match self.live(import) {
            Ok(live) => live,
            Err(error) => return Ok(Err(tools::CallError::Host(error.into()))),
        };
        let args = live.args(import, &[plugin.as_bytes(), tool.as_bytes(), arguments.as_bytes()]);
        let (path, held) = live.replayed(import, args)?;
        let called = match held {
            Some(called) => called,
            None => {
                let called = live.call(&path, &plugin, &tool, arguments).await?;
                let ended = || format!("the call of {plugin}/{tool} ended");
                live.attempt.journal.check_end(&path, ended).map_err(Exit::Journal)?;
                live.append(path, import, args, &called).await?;
                called
            }
        };
        Ok(match called {
            Ok(Called::Result(json)) => Ok(json),
            Ok(Called::Failed(message)) => Err(tools::CallError::Tool(message)),
            Ok(Called::Crashed(why)) => Err(tools::CallError::Crashed(why)),
            Err(error) => Err(tools::CallError::Host(error.into())),
        })
    }
}

impl Live {
    /// Calls the tool in a fresh instance whose journal lies below `path`.
    async fn call(
        &mut self,
        path: &Path,
        plugin: &str,
        tool: &str,
        arguments: String,
    ) -> wasmtime::Result<Result<Called, ImportError>> {
        let begun_on = self.attempt.journal.begun_call(path).map_err(Exit::Journal)?;
        // One that was interrupted goes on: it was allowed when it began.
        if begun_on.is_none()
            && let Err(denied) = self.grants.may_call(plugin, tool)
        {
            return Ok(Err(self.denied(denied)));
        }
        if self.frame.level() >= MAX_CALL_DEPTH {
            return Ok(Err(ImportError::Limit(LimitHit::new("tools.call-depth", u64::from(MAX_CALL_DEPTH)))));
        }
        // What this call is itself part of is noted before what is below it.
        self.note_call().await?;
        let is_noted = begun_on.is_some();
        if is_noted {
            self.attempt.replayed();
        }
        let callee = match begun_on {
            Some(digest) => Some(self.begun_on(path, plugin, &digest).await?),
            None => self.attempt.host.plugins().get(plugin).cloned(),
        };
        let known = callee
            .and_then(|callee| Some((callee.tools.iter().find(|known| known.name == tool)?.clone(), callee)));
        let Some((known, callee)) = known else {
            return Ok(Err(ImportError::NotFound));
        };
        if let Err(unfit) = check_input(&known.input_schema, "the arguments", &arguments) {
            return Ok(Err(unfit));
        }
        let now = self.attempt.now();
        if let Some(until) = self.attempt.host.pauses.until(plugin, now).filter(|_| !is_noted) {
            let wait_ms = u64::try_from(until.since(now).as_millis()).unwrap_or(u64::MAX);
            return Ok(Err(ImportError::Unavailable(Some(wait_ms))));
        }
        match self.execute(path, &callee, is_noted, tool, arguments).await {
            Ok(Ok(json)) if json.len() > MAX_JSON_BYTES => {
                Ok(Ok(Called::Crashed(format!("its result has more than {MAX_JSON_BYTES} bytes"))))
            }
            Ok(Ok(json)) => Ok(Ok(match check_json("the tool's result", &json) {
                Ok(()) => Called::Result(json),
                Err(error) => Called::Crashed(error.to_string()),
            })),
            Ok(Err(message)) => Ok(Ok(Called::Failed(message))),
            // What ends the attempt ends the caller with it.
            Err(error) if error.is::<Exit>() => Err(error),
            Err(error) => match runner::failure(&self.attempt, &error) {
                Some((reason, why)) => Ok(Ok(Called::Crashed(format!("{}: {why}", reason.sentence())))),
                None => Err(Exit::Fault(format!("{error:#}")).into()),
            },
        }
    }

    /// The version that an interrupted call was begun on.
    async fn begun_on(&self, path: &Path, plugin: &str, digest: &str) -> wasmtime::Result<Arc<Plugin>> {
        let version = self.attempt.host.version(plugin, digest).await;
        version.map_err(|error| {
            let exit = match error {
                Unavailable::Gone(why) => {
                    Exit::Unavailable(format!("the call of {plugin} at journal entry {path}: {why}"))
                }
                Unavailable::Fault(why) => Exit::Fault(why),
            };
            exit.into()
        })
    }

    async fn execute(
        &mut self,
        path: &Path,
        callee: &Arc<Plugin>,
        is_noted: bool,
        tool: &str,
        arguments: String,
    ) -> wasmtime::Result<Result<String, String>> {
        let host = &self.attempt.host;
        let level = self.frame.level() + 1;
        let pre =
            callee.toolbox_pre.as_ref().ok_or_else(|| Exit::Fault("a tool without a toolbox".to_owned()))?;
        let class = host.engines.of(callee.class);
        self.attempt.calls(callee.class, callee.id());
        let make_room = |lack| host.lanes.make_room(callee.class, lack, callee.id());
        let admitted = std::pin::pin!(class.pool.admit(level, callee.id(), make_room));
        let _place = self.attempt.meter.or_stop(admitted).await.map_err(Exit::Stopped)?;
        let frame = Frame::new(path.clone(), self.attempt.seed);
        let given = Arc::new(callee.root(self.attempt.journal.now()).0);
        let live = Live {
            attempt: self.attempt.clone(),
            frame,
            plugin: callee.clone(),
            grants: given.clone(),
            given,
            allowed_at: 0,
            is_tool: true,
            unnoted: (!is_noted).then(|| path.clone()),
            lines: Default::default(),
        };
        let mut store = runner::store(
            &class.engine,
            Ctx::new(Limiter::new(callee.manifest.memory_bytes), Instance::Live(Box::new(live))),
        );
        let called = async {
            let toolbox = pre.instantiate_async(&mut store).await?;
            toolbox.sublane_plugin_tools_entry().call_call_tool(&mut store, tool, &arguments).await
        };
        let called = called.await;
        if called.as_ref().err().is_none_or(|error| !error.is::<Exit>()) {
            store.data_mut().end_lines();
        }
        called
    }
}
