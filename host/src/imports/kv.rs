//! `kv`: small durable values.

use sublane_core::grants::KvMode;
use sublane_core::{Import, ImportError, LimitHit};
use sublane_store::Command;

use super::translate::{Bytes, answer};
use super::{Ctx, Exit};
use crate::bindings::sublane::plugin::{kv, types};

/// Bytes of a key.
const MAX_KEY_BYTES: usize = 256;
/// Bytes of a value.
const MAX_VALUE_BYTES: usize = 64 << 10;
/// Keys in one list.
const MAX_KEYS: u32 = 1_000;

type Reply<T> = wasmtime::Result<Result<T, types::Error>>;

fn check_key(key: &str) -> Result<(), ImportError> {
    if key.is_empty() {
        return Err(ImportError::Invalid(format!("a key has 1 to {MAX_KEY_BYTES} bytes, this one none")));
    }
    check_size("kv.key-bytes", key.len(), MAX_KEY_BYTES)
}

fn check_value(value: &[u8]) -> Result<(), ImportError> {
    check_size("kv.value-bytes", value.len(), MAX_VALUE_BYTES)
}

fn check_size(which: &'static str, bytes: usize, limit: usize) -> Result<(), ImportError> {
    if bytes > limit { Err(ImportError::Limit(LimitHit::new(which, limit as u64))) } else { Ok(()) }
}

impl kv::Host for Ctx {
    async fn get(&mut self, bucket: String, key: String) -> Reply<Option<Vec<u8>>> {
        let import = Import::KvGet;
        let live = live!(self, import);
        let args = live.args(import, &[bucket.as_bytes(), key.as_bytes()]);
        let done = live.effect(import, args, async |live| {
            if let Err(denied) = live.grants.may_kv(&bucket, &key, KvMode::Read) {
                return Ok(Err(live.denied(denied)));
            }
            if let Err(error) = check_key(&key) {
                return Ok(Err(error));
            }
            let store = &live.attempt.host.store;
            let value = store.kv_get(bucket.as_str().into(), key.as_str().into()).await;
            Ok(Ok(value.map_err(Exit::store)?.map(Bytes)))
        });
        answer(done.await.map(|got| got.map(|value| value.map(|Bytes(bytes)| bytes))))
    }

    async fn set(&mut self, bucket: String, key: String, value: Vec<u8>) -> Reply<()> {
        let import = Import::KvSet;
        let live = live!(self, import);
        let args = live.args(import, &[bucket.as_bytes(), key.as_bytes(), &value]);
        let done = live.command(import, args, async |live| {
            if let Err(denied) = live.grants.may_kv(&bucket, &key, KvMode::ReadWrite) {
                return Ok(Err(live.denied(denied)));
            }
            if let Err(error) = check_key(&key).and_then(|()| check_value(&value)) {
                return Ok(Err(error));
            }
            Ok(Ok(Command::KvSet { bucket: bucket.into(), key: key.into(), value }))
        });
        answer(done.await)
    }

    async fn set_if(
        &mut self,
        bucket: String,
        key: String,
        held: Option<Vec<u8>>,
        value: Vec<u8>,
    ) -> Reply<bool> {
        let import = Import::KvSetIf;
        let live = live!(self, import);
        let (is_there, there) = held.as_ref().map_or((&b"0"[..], &b""[..]), |held| (b"1", held));
        let args = live.args(import, &[bucket.as_bytes(), key.as_bytes(), is_there, there, &value]);
        let done = live.command(import, args, async |live| {
            if let Err(denied) = live.grants.may_kv(&bucket, &key, KvMode::ReadWrite) {
                return Ok(Err(live.denied(denied)));
            }
            let held_fits = held.as_ref().map_or(Ok(()), |held| check_value(held));
            if let Err(error) = check_key(&key).and(held_fits).and(check_value(&value)) {
                return Ok(Err(error));
            }
            Ok(Ok(Command::KvSetIf { bucket: bucket.into(), key: key.into(), held, value }))
        });
        answer(done.await)
    }

    async fn delete(&mut self, bucket: String, key: String) -> Reply<()> {
        let import = Import::KvDelete;
        let live = live!(self, import);
        let args = live.args(import, &[bucket.as_bytes(), key.as_bytes()]);
        let done = live.command(import, args, async |live| {
            if let Err(denied) = live.grants.may_kv(&bucket, &key, KvMode::ReadWrite) {
                return Ok(Err(live.denied(denied)));
            }
            Ok(check_key(&key).map(|()| Command::KvDelete { bucket: bucket.into(), key: key.into() }))
        });
        answer(done.await)
    }

    async fn list_keys(
        &mut self,
        bucket: String,
        prefix: String,
        after: Option<String>,
    ) -> Reply<Vec<String>> {
        let import = Import::KvListKeys;
        let live = live!(self, import);
        let after_bytes = after.as_ref().map_or(&b""[..], |after| after.as_bytes());
        let args = live.args(import, &[bucket.as_bytes(), prefix.as_bytes(), after_bytes]);
        let done = live.effect(import, args, async |live| {
            if let Err(denied) = live.grants.may_kv_prefix(&bucket, &prefix, KvMode::Read) {
                return Ok(Err(live.denied(denied)));
            }
            let longest = prefix.len().max(after.as_ref().map_or(0, String::len));
            if let Err(error) = check_size("kv.key-bytes", longest, MAX_KEY_BYTES) {
                return Ok(Err(error));
            }
            let store = &live.attempt.host.store;
            let after = after.map(Into::into);
            let keys = store.kv_keys(bucket.into(), prefix.into(), after, MAX_KEYS).await;
            Ok(Ok(keys.map_err(Exit::store)?))
        });
        answer(done.await)
    }
}
