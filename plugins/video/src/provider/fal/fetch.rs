//! From the link to a file of this run's: looked at first, then streamed by the host, never through
//! this plugin's memory.

use sublane_sdk::artifact::Artifact;
use sublane_sdk::http::{self, HttpError};
use sublane_sdk::log;

use super::answers::Job;
use super::problem::Problem;
use super::{MAX_BYTES, MISSES, Making, Pace, WAIT, is_busy, sleep};
use crate::words_for_people::file_name;

/// Bytes that show what a file is.
const HEAD: u64 = 12;

/// What a look at the link came to.
enum Looked {
    /// A film, of so many bytes where that was said.
    Film(Option<u64>),
    /// Nothing is there any more.
    Gone,
    /// Another look may see more.
    Busy(String),
}

/// The film as a file. A link that has expired is asked for anew, once.
pub(super) fn fetch(
    making: &Making<'_>,
    job: &Job,
    link: String,
    size: Option<u64>,
) -> Result<Artifact, Problem> {
    match stream(making, job, &link, size) {
        Err(Problem::Expired { .. }) => {
            let (again, size) = making.result(job)?;
            stream(making, job, &again, size)
        }
        other => other,
    }
}

/// Tries a link as often as may be of use.
fn stream(making: &Making<'_>, job: &Job, link: &str, size: Option<u64>) -> Result<Artifact, Problem> {
    let mut pace = Pace(WAIT.0);
    let mut last = String::new();
    for attempt in 0..MISSES {
        if attempt > 0 {
            log::warn!("job {}: {last}; fetching again", job.id);
            sleep(pace.next())?;
        }
        let said = match look(job, link)? {
            Looked::Film(said) => said.or(size),
            Looked::Gone => return Err(Problem::Expired { job: job.id.clone(), url: link.to_owned() }),
            Looked::Busy(why) => {
                last = why;
                continue;
            }
        };
        if said.is_some_and(|said| said > MAX_BYTES) {
            return Err(unusable(job, link, format!("it has more than {MAX_BYTES} bytes")));
        }
        let name = file_name(&making.film.prompt);
        let fetched = http::get(link).max_body(MAX_BYTES).into_file_of(&name, "video/mp4").send();
        match fetched {
            Ok(response) if matches!(response.status, 403 | 404 | 410) => {
                return Err(Problem::Expired { job: job.id.clone(), url: link.to_owned() });
            }
            Ok(response) => match response.file {
                Some(file) if said.is_none_or(|said| said == file.size) => return Ok(file),
                Some(file) => {
                    let why = format!(
                        "it has {} bytes and not the {} that were said",
                        file.size,
                        said.unwrap_or(0)
                    );
                    return Err(unusable(job, link, why));
                }
                None => last = format!("status {}", response.status),
            },
            Err(error) if error.is_retryable() => last = error.to_string(),
            Err(error) => return Err(unusable(job, link, error.to_string())),
        }
    }
    Err(unusable(job, link, last))
}

/// Looks what lies there, before a file is made of it: whoever is told of a failure is given the files
/// that there are, and a page that says "not found" is none.
fn look(job: &Job, link: &str) -> Result<Looked, Problem> {
    let range = format!("bytes=0-{}", HEAD - 1);
    let response = match http::get(link).header("range", range).send() {
        Ok(response) => response,
        // It does not know ranges: it is looked at when it is there.
        Err(HttpError::TooLarge(_)) => return Ok(Looked::Film(None)),
        Err(error) if error.is_retryable() => return Ok(Looked::Busy(error.to_string())),
        Err(error) => return Err(unusable(job, link, error.to_string())),
    };
    match response.status {
        200..=299 => {}
        403 | 404 | 410 => return Ok(Looked::Gone),
        status if is_busy(status) => return Ok(Looked::Busy(format!("status {status}"))),
        status => return Err(unusable(job, link, format!("status {status}"))),
    }
    let kind = response.header("content-type").unwrap_or_default();
    let is_video = kind.starts_with("video/") || kind.starts_with("application/octet-stream");
    if !is_video || response.body.get(4..8) != Some(b"ftyp") {
        return Err(unusable(job, link, format!("it is {kind:?} and no MP4")));
    }
    let size = match response.status {
        206 => response.header("content-range").and_then(|range| range.rsplit('/').next()?.parse().ok()),
        _ => u64::try_from(response.body.len()).ok(),
    };
    Ok(Looked::Film(size))
}

fn unusable(job: &Job, link: &str, why: String) -> Problem {
    Problem::Unusable { job: job.id.clone(), url: link.to_owned(), why }
}
