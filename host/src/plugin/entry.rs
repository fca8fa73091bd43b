//! A plugin's entries: the functions that it exports have the contract's types.
//!
//! Wasmtime says which types differ, but not of which function.

use wasmtime::component::{ComponentNamedList, Instance, Lift, Lower};
use wasmtime::error::Context as _;
use wasmtime::{Result, Store};

use super::load::{PACKAGE, VERSION};
use crate::bindings::agent::exports::sublane::plugin::agent_entry;
use crate::bindings::agent::{Agent, AgentPre};
use crate::bindings::sublane::plugin::types;
use crate::bindings::toolbox::exports::sublane::plugin::tools_entry;
use crate::bindings::toolbox::{Toolbox, ToolboxPre};
use crate::imports::Ctx;

/// An instance of an agent whose functions were checked.
///
/// # Errors
/// Those of instantiating; names the function that has another type.
pub(super) async fn agent(pre: &AgentPre<Ctx>, store: &mut Store<Ctx>) -> Result<Agent> {
    let instance = pre.instance_pre().instantiate_async(&mut *store).await?;
    let interface = "agent-entry";
    check::<(), (Vec<agent_entry::AgentDefinition>,)>(store, &instance, interface, "list-agents")?;
    check::<(&str, &types::Task), (Result<types::Output, types::Failure>,)>(
        store, &instance, interface, "run",
    )?;
    Agent::new(store, &instance)
}

/// An instance of a toolbox whose functions were checked.
///
/// # Errors
/// Those of instantiating; names the function that has another type.
pub(super) async fn toolbox(pre: &ToolboxPre<Ctx>, store: &mut Store<Ctx>) -> Result<Toolbox> {
    let instance = pre.instance_pre().instantiate_async(&mut *store).await?;
    let interface = "tools-entry";
    check::<(), (Vec<tools_entry::ToolDefinition>,)>(store, &instance, interface, "list-tools")?;
    check::<(&str, &str), (Result<String, String>,)>(store, &instance, interface, "call-tool")?;
    Toolbox::new(store, &instance)
}

/// One that is not there at all was refused before.
fn check<P, R>(store: &mut Store<Ctx>, instance: &Instance, interface: &str, function: &str) -> Result<()>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    let entry = instance.get_export_index(&mut *store, None, &format!("{PACKAGE}/{interface}@{VERSION}"));
    let Some(index) = instance.get_export_index(&mut *store, entry.as_ref(), function) else { return Ok(()) };
    let typed = instance.get_typed_func::<P, R>(store, index);
    typed
        .map(|_| ())
        .with_context(|| format!("`{interface}.{function}` has another type than in the contract"))
}
