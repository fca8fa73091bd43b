//! Answers people's messages: a request for a film goes to the video plugin's
//! tool, and everything else gets to know what can be asked for.
//!
//! Owns the conversation's words. Never spawns anything and holds no authority
//! but to call that one tool.

mod request;

use request::{FilmRequest, Message, read};
use sublane_sdk::tools::{self, CallError};
use sublane_sdk::{Error, Failure, Output, agent, data, plugin};

/// A message that came in.
#[data]
struct Inbound {
    /// What was written.
    text: String,
    /// Who wrote it, as their channel names them.
    #[serde(default)]
    from: String,
}

/// What the video plugin's tool gives back. It says more than is needed here.
#[data]
struct Started {
    /// The answer for people, with the run's name.
    text: String,
}

const HELP: &str = "I make short films. Tell me what one should show and, if you like, how long and how large \
it should be and where else to send it. For example: “Make a 4 second film of a lighthouse in a storm, \
480x270, and send it to webhook:films.”";

/// Answers messages: makes a film when asked for one in plain words, and says
/// what it can do otherwise.
#[agent]
fn concierge(message: Inbound) -> Result<Output, Failure> {
    let answer = match read(&message.text) {
        Message::Film(film) => return order(&film),
        Message::FilmOfWhat => {
            "What should the film show? For example: “a film of a lighthouse in a storm”.".to_owned()
        }
        Message::UnknownDestination(words) => format!(
            "I cannot send a film to “{words}”. A destination is a channel and an address, \
             such as webhook:films; here is where it comes by itself."
        ),
        Message::Greeting => format!("Hello! {HELP}"),
        Message::Thanks => "You are welcome.".to_owned(),
        Message::Other => HELP.to_owned(),
    };
    Ok(Output::text(answer))
}

/// Has the film made. What goes wrong is an answer, too: people asked.
fn order(film: &FilmRequest) -> Result<Output, Failure> {
    match tools::call::<Started>("video", "generate_video", film) {
        Ok(started) => Ok(Output::text(started.text)),
        Err(CallError::Host(Error::Cancelled)) => Err(Error::Cancelled.into()),
        Err(error) => Ok(Output::text(regret(error))),
    }
}

/// Says why there will be no film and what can be done.
fn regret(error: CallError) -> String {
    match error {
        CallError::Tool(why) | CallError::Host(Error::Invalid(why)) => {
            format!("I could not start the film: {why}")
        }
        CallError::Host(Error::Denied(what)) => {
            format!("I am not allowed to make films here ({what}). Whoever runs this host can allow it.")
        }
        CallError::Host(Error::NotFound) => {
            "There is no film maker here: the plugin “video” is not installed.".to_owned()
        }
        CallError::Host(Error::Limit { which, value }) => {
            format!("Too much is going on: {which} is at its limit of {value}. Please ask again later.")
        }
        CallError::Host(error @ (Error::Unavailable { .. } | Error::Internal(_) | Error::Cancelled)) => {
            format!("I could not start the film: {error}")
        }
        CallError::Crashed(why) => format!("The film maker broke down ({why}). Please ask again later."),
        CallError::Unexpected(why) => format!("I cannot tell what became of the film: {why}"),
    }
}

plugin!(agents: [concierge]);

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, start: &str) {
        let message = Inbound { text: text.to_owned(), from: "somebody".to_owned() };
        let expected = Output::text(start);
        assert_eq!(concierge(message), Ok(expected));
    }

    #[test]
    fn what_is_no_request_gets_to_know_what_can_be_asked() {
        check("What is the weather like?", HELP);
        check("hi", &format!("Hello! {HELP}"));
        check("Thanks!", "You are welcome.");
    }

    #[test]
    fn what_is_missing_is_asked_for() {
        check(
            "Make me a film",
            "What should the film show? For example: “a film of a lighthouse in a storm”.",
        );
    }

    #[test]
    fn refusals_keep_the_reason() {
        let why = "seconds is 40; allowed are 1 to 20".to_owned();
        let expected = "I could not start the film: seconds is 40; allowed are 1 to 20";
        assert_eq!(regret(CallError::Tool(why.clone())), expected);
        assert_eq!(regret(CallError::Host(Error::Invalid(why))), expected);
        let limit = Error::Limit { which: "tools.call-depth".to_owned(), value: 3 };
        assert_eq!(
            regret(CallError::Host(limit)),
            "Too much is going on: tools.call-depth is at its limit of 3. Please ask again later."
        );
    }
}
