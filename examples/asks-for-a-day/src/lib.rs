//! Asks an API that is not always there until it answers, for a day.
use std::time::Duration;

use sublane_sdk::poll::{self, Ending, answer};
use sublane_sdk::{Failure, agent, data, http, plugin};

/// What to ask for.
#[data]
struct Report {
    /// Where the report will be.
    url: String,
}

/// Waits for a report, and gives it back.
#[agent]
fn fetch(report: Report) -> Result<String, Failure> {
    // The host asks. Meanwhile the run is a row, whatever the API answers or does not.
    let ending = poll::asking(http::get(report.url))
        .every(Duration::from_secs(60))
        .first_after(Duration::ZERO)
        .growing_to(Duration::from_secs(900))
        .give_or_take(20)
        .for_at_most(Duration::from_secs(24 * 3_600))
        .done_when(answer().with("$.state", "ready"))
        .failed_when(answer().with("$.state", "refused"))
        .failed_when(answer().status(404).times(5))
        .goes_on_when(answer().with("$.state", "pending"))
        .until_it_ends()?;
    match ending {
        Ending::Done(response) => Ok(response.text()),
        Ending::Failed(response) => {
            Err(Failure::new(format!("there will be no report: {}", response.text())).permanent())
        }
        Ending::TimedOut(seen) => Err(Failure::new(format!("no report for a day: {seen}"))),
        Ending::Broken(trouble) => Err(Failure::new(trouble.to_string()).permanent()),
    }
}
plugin!(agents: [fetch]);
