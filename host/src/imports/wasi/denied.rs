//! What a component imports of WASI and does not get: linked, so that it loads, and denied.
//!
//! No function here has code of its own. It is made of its type: where WASI has a word for a denial,
//! that is the answer; else it is the least that the type allows, such as an empty list. Nothing
//! comes to be that could be opened, bound or sent.

use wasmtime::StoreContextMut;
use wasmtime::component::types::{ComponentItem, Type};
use wasmtime::component::{Component, Linker, Resource, ResourceType, Val};

use super::{Ctx, trap};
use crate::imports::Instance;
use crate::plugin::wasi::is_denied;

/// What a handle stands for that a denied interface gives: nothing.
#[derive(Debug)]
struct Nothing;

/// WASI's words for a denial: of sockets, of files, of HTTP.
const DENIALS: &[&str] = &["access-denied", "access", "HTTP-request-denied"];

/// Resources of served interfaces, as those that are denied call them.
const SERVED: &[&str] = &["error", "io-error", "pollable", "input-stream", "output-stream"];

/// Adds the denied interfaces that a component imports.
pub(super) fn link(linker: &mut Linker<Ctx>, component: &Component) -> wasmtime::Result<()> {
    let engine = linker.engine().clone();
    for (interface, import) in component.component_type().imports(&engine) {
        let ComponentItem::ComponentInstance(instance) = import.ty else { continue };
        if !is_denied(interface) {
            continue;
        }
        let mut linked = linker.instance(interface)?;
        for (name, item) in instance.exports(&engine) {
            match item.ty {
                ComponentItem::ComponentFunc(_) => {
                    let function = format!("{interface}.{name}");
                    linked.func_new_async(name, move |mut store, ty, params, results| {
                        let function = function.clone();
                        Box::new(async move {
                            store.data_mut().called()?;
                            for param in params {
                                if let Val::Resource(handle) = param {
                                    handle.resource_drop_async(&mut store).await?;
                                }
                            }
                            for (result, ty) in results.iter_mut().zip(ty.results()) {
                                let answer = answer(&mut store, &ty)?;
                                *result = answer.ok_or_else(|| trap(format!("`{function}` is denied")))?;
                                if let Val::Result(Err(_)) = result {
                                    denied(store.data(), &function);
                                }
                            }
                            Ok(())
                        })
                    })?;
                }
                ComponentItem::Resource(_) if !SERVED.contains(&name) => {
                    linked.resource(name, ResourceType::host::<Nothing>(), |mut store, handle| {
                        store.data_mut().table.delete(Resource::<Nothing>::new_own(handle))?;
                        Ok(())
                    })?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// The answer of this type, if there is one that gives nothing away.
fn answer(store: &mut StoreContextMut<'_, Ctx>, ty: &Type) -> wasmtime::Result<Option<Val>> {
    Ok(Some(match ty {
        Type::Bool => Val::Bool(false),
        Type::String => Val::String(String::new()),
        Type::U16 => Val::U16(0),
        Type::U32 => Val::U32(0),
        Type::U64 => Val::U64(0),
        Type::List(_) => Val::List(Vec::new()),
        Type::Option(_) => Val::Option(None),
        Type::Result(result) => match (result.err().as_ref().and_then(denial), result.ok()) {
            (Some(denial), _) => Val::Result(Err(Some(Box::new(denial)))),
            (None, None) => Val::Result(Ok(None)),
            (None, Some(ok)) => match answer(store, &ok)? {
                Some(ok) => Val::Result(Ok(Some(Box::new(ok)))),
                None if result.err().is_none() => Val::Result(Err(None)),
                None => return Ok(None),
            },
        },
        Type::Own(resource) if *resource == ResourceType::host::<Nothing>() => {
            let handle = store.data_mut().handle(Nothing)?;
            Val::Resource(handle.try_into_resource_any(store)?)
        }
        _ => return Ok(None),
    }))
}

/// The denial that a type of errors has.
fn denial(ty: &Type) -> Option<Val> {
    match ty {
        Type::Enum(names) => {
            let name = names.names().find(|name| DENIALS.contains(name))?;
            Some(Val::Enum(name.to_owned()))
        }
        Type::Variant(variant) => {
            let case = variant.cases().find(|case| case.ty.is_none() && DENIALS.contains(&case.name))?;
            Some(Val::Variant(case.name.to_owned(), None))
        }
        _ => None,
    }
}

/// Says who asked for what.
fn denied(ctx: &Ctx, function: &str) {
    if let Instance::Live(live) = &ctx.instance {
        tracing::warn!(
            target: "sublane::denied",
            run = %live.attempt.spec.id,
            plugin = %live.plugin.manifest.id,
            capability = %crate::imports::local::line(function),
            refused_by = "host",
            "denied"
        );
    }
}
