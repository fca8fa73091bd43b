//! Asks an HTTP API with a key that it cannot see.
use sublane_sdk::{Failure, agent, data, http, plugin};

/// What to ask, and whom.
#[data]
struct Question {
    /// What to ask.
    prompt: String,
    /// Where the API is.
    #[serde(default = "example")]
    api: String,
}

fn example() -> String {
    "https://api.example.com/v1".to_owned()
}

/// What the API gives back.
#[data]
struct Answer {
    answer: String,
}

/// Asks the API, and gives back its answer.
#[agent]
fn ask(question: Question) -> Result<String, Failure> {
    // What is sent here stands for the key `example`. The host puts the key in its place, in this
    // header and to this API only; whatever comes back is searched for it.
    let response = http::post(format!("{}/answers", question.api))
        .bearer("example")
        .json(&question.prompt)
        .send()?
        .ok()?;
    let answer: Answer = response.json()?;
    Ok(answer.answer)
}
plugin!(agents: [ask]);
