//! Asks somebody, and waits for the answer for a day.
use std::time::Duration;

use sublane_sdk::hook::{Hook, Verification};
use sublane_sdk::{Failure, agent, data, delivery, plugin};

/// What to ask.
#[data]
struct Question {
    /// A question with a short answer.
    question: String,
}

/// Asks whoever is at the other end, and gives back what they answer.
#[agent]
fn ask(question: Question) -> Result<String, Failure> {
    // Whoever has the URL can answer: it goes to the one who asked, and to nobody else.
    let hook = Hook::open(Verification::Nobody)?;
    let text = format!("{}\nAnswer with: curl --data 'YOUR ANSWER' {}", question.question, hook.url());
    delivery::send("origin", text)?;
    // From here on the run is a row, until somebody answers or the day is over.
    match hook.wait_within(Duration::from_secs(24 * 3_600))? {
        Some(call) => Ok(format!("The answer is: {}", call.text())),
        None => Err(Failure::new("nobody answered for a day")),
    }
}
plugin!(agents: [ask]);
