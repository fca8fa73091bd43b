//! The feature tests, one binary. Each line says what belongs there.

mod arrows; // which crate and module may name what, and what the documents say is there
mod authority; // what a plugin may do, and who says no
mod bursts; // many at once: none lost, each in its turn, refusals told
mod cancelling; // a tree is cancelled whole, at once, and stays so
mod checking; // what `config check` says of channels and of the cache
mod compiling; // a stranger's component is compiled within bounds, in a process of its own
mod complaints; // what users of another host complained of, and which test answers it
mod continuing; // a run goes on as new: an empty journal, and the same run
mod crash; // what a killed host leaves behind, and what the next one makes of it
mod directories; // directories of the operator's, and what plugins may do there
mod examples; // every example plugin does what its README says
mod exported; // a run as one file, executed again elsewhere
mod fal; // films that a provider makes: paid once, kept, or told why not
mod files; // results as files: whole, once, and when the directory comes late
mod fuzzing; // what strangers write is read or refused, whatever it is
mod growth; // what a host holds comes to a plateau
mod handmade; // no tests: components written by hand
mod hooks; // calls from outside: which one counts, who is verified, what bounds them
mod hostile; // a plugin that misbehaves ends with its reason and stalls nobody
mod http; // requests to other machines: where they go, what bounds them, what a crash repeats
mod journals; // how much a journal may hold, and what a run is told of it
mod keeping; // what is old goes, what is needed stays
mod lanes; // slots, queues and pools, down to the smallest
mod later; // what begins later: runs with a beginning, and schedules
mod limits; // what one plugin may have of what there is, and a disk without room
mod loading; // what is no plugin is refused when it is loaded
mod newcomer; // what somebody meets who has just begun
mod operating; // the manual of operators: its commands and its reference of the configuration
mod options; // odd values of options are told, or borne
mod pauses; // a plugin that breaks down again and again has to wait
mod plugins; // plugins are replaced and removed while their runs go on
mod polls; // answers that runs wait for and the host asks for
mod progress; // how far a run is: at people's pace, never after the result
mod receivers; // what receivers do to a host, and what becomes of a result that is owed
mod refusals; // wrong files and machines that do not go along are told, and nothing is lost
mod replay; // a run that was evicted or interrupted goes on as if nothing had been
mod retries; // a run that fails begins again by itself, when it was spawned so
mod retry; // a run that did not succeed begins again, when an operator says so
mod runlogs; // what plugins log, for whoever asks
mod secrets; // secrets that requests carry: where they go, and that nobody sees them
mod seed; // the acceptance of the reproduction that everything started from
mod signatures; // receivers in other languages accept what a host signs
mod simulation; // lives of hosts, made of chance: killed, stopped, failed, and every promise kept
mod standins; // stand-ins for services are those services to their own clients
mod steering; // what operators see and do, beside a running host and without one
mod stopping; // a host that is asked to stop, or stands still, and the one after it
mod subagents; // spawn, wait, look, speak, cancel, deliver
mod terminals; // what commands show of a plugin's words steers no terminal
mod tools; // what is checked before a tool starts, and who pays for it
mod values; // small values: who may change one first, and how large they are
mod waits; // until an instant, for the first of several, and what is overdue after a long stop
mod wasi; // plugins in other languages, and what they get of WASI
