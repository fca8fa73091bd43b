//! Says hello to somebody: the smallest agent there is.
use sublane_sdk::{Failure, agent, data, plugin};

/// Whom to greet.
#[data]
struct Greeting {
    name: String,
}

/// Greets somebody by name.
#[agent]
fn hello(greeting: Greeting) -> Result<String, Failure> {
    Ok(format!("Hello, {}!", greeting.name))
}
plugin!(agents: [hello]);
