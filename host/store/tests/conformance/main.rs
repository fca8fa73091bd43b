//! What a store must do, in features. One suite, run on every store.
//!
//! A new store is put under it with one line in `on_every_store!`. Modules
//! stand in the order of the data: in, spawned, waiting, ended, delivered, and
//! what survives.

mod accept;
mod again;
mod anew;
mod check;
mod command;
mod delivery;
mod durable;
mod ending;
mod hold;
mod hook;
mod journal;
mod log;
mod older;
mod poll;
mod purses;
mod random;
mod recovery;
mod retention;
mod retry;
mod schedule;
mod spawn;
mod steering;
mod support;
mod version;
mod wait;

/// Makes one test for each feature and store.
macro_rules! on_every_store {
    ($($module:ident { $($feature:ident)* })*) => {
        mod model {
            $(mod $module { $(
                #[tokio::test]
                async fn $feature() {
                    crate::$module::$feature(&sublane_store::Model::default()).await;
                }
            )* })*
        }
        mod sqlite {
            $(mod $module { $(
                #[tokio::test]
                async fn $feature() {
                    let directory = tempfile::tempdir().expect("a directory for the test");
                    let path = directory.path().join("store.db");
                    crate::$module::$feature(&sublane_store::SqliteStore::open(&path).expect("a new store")).await;
                }
            )* })*
        }
    };
}

on_every_store! {
    accept {
        a_message_makes_a_run_that_is_ready
        the_same_event_makes_the_same_run
        each_message_fills_the_purse_of_its_conversation
        a_conversation_without_a_budget_is_refused
        lists_are_newest_first_and_filtered
    }
    spawn {
        a_spawn_takes_from_the_parents_purse_and_counts
        a_tool_calls_spawn_takes_from_the_conversation
        an_agents_detached_spawn_takes_from_its_own_purse
        a_tool_call_spawns_no_more_than_its_plugins_total
        a_dedupe_key_finds_the_same_run
        a_dedupe_key_is_the_spawners_own
        too_many_active_children_are_refused_with_the_limit
        an_empty_purse_is_refused_with_the_limit
        a_refusal_is_in_the_journal_and_changes_nothing
    }
    journal {
        only_one_attempt_gets_a_run
        a_stale_claim_is_refused_everywhere
        entries_come_back_in_the_order_of_their_paths
        an_attempt_goes_on_from_the_journal
        values_come_back_as_they_were
    }
    command {
        keys_are_set_read_listed_and_removed
        a_key_is_set_if_what_is_there_is_what_must_be
        a_bucket_has_a_bound
        a_message_goes_to_a_child_only
        a_full_mailbox_is_a_limit
        a_run_sends_to_people_with_one_id_per_place
        an_artifact_is_taken_from_the_purse
        a_request_pays_with_its_answer_and_brings_its_file
        a_run_reads_its_own_its_tasks_and_its_childrens_artifacts
        a_refusal_before_the_store_is_an_entry_too
        intents_are_applied_in_order_and_once
        progress_is_the_newest
    }
    wait {
        a_wait_for_any_is_decided_by_the_first_ending
        a_wait_for_all_is_decided_by_the_last_ending
        a_wait_is_decided_at_once_when_it_is_over_already
        a_wait_that_times_out_says_so
        what_has_ended_beats_a_time_out
        a_message_ends_a_receive
        messages_are_received_in_order
        a_sleep_ends_when_it_is_due
        what_is_due_next_is_known
        an_evicted_wait_makes_the_run_ready_again
        an_eviction_that_comes_too_late_changes_nothing
        a_waiting_run_is_not_claimed
        the_first_of_several_decides_and_the_others_stay
        of_what_is_there_at_once_the_first_in_the_list_is_taken
        an_ending_and_a_time_that_passed_are_decided_by_the_order
        several_runs_of_one_source_all_or_any
        an_evicted_wait_for_several_is_decided_the_same
        a_cancelled_wait_for_several_leaves_nothing
        what_is_due_is_woken_in_the_turn_of_its_plugin
    }
    ending {
        a_success_waits_for_attached_children
        a_failure_takes_attached_children_with_it
        detached_children_outlive_their_parent
        a_cancelled_run_takes_its_tree_with_it
        an_ending_that_is_no_success_owes_what_was_to_be_undone
        a_run_ends_once
        what_is_left_of_a_purse_goes_back
        what_is_left_of_a_detached_purse_goes_to_the_conversation
        guest_cpu_is_taken_from_the_purse
        guest_cpu_of_a_dead_attempt_is_taken_from_where_its_purse_went
        a_deadline_ends_a_run_in_any_state
        a_parent_cancels_its_child_by_command
    }
    delivery {
        an_ending_owes_each_destination_once_with_its_first_attempt_begun
        every_ending_owes
        a_result_that_cannot_be_read_is_passed_on_as_text
        a_file_that_was_finished_goes_with_a_failure
        a_delivered_delivery_is_settled
        a_refused_delivery_is_dead
        a_failed_attempt_is_tried_again_when_it_is_due
        the_receivers_wish_is_kept
        an_old_attempt_settles_nothing
        a_delivery_that_is_never_taken_is_given_up
        an_operator_has_anything_sent_again
        an_operator_dismisses_what_is_not_wanted
        nothing_is_steered_while_an_attempt_is_under_way
        deliveries_are_listed_by_state_and_run
    }
    steering {
        runs_are_listed_by_agent_and_age
        a_conversation_is_cancelled_as_a_whole
        a_message_from_outside_ends_a_receive
        what_became_of_an_intent_is_kept_for_a_while
        lanes_stay_as_they_were_set
        conversations_are_listed_newest_first
    }
    log {
        lines_come_back_as_they_were_written
        the_newest_lines_of_a_run_are_kept
        a_log_goes_with_its_run_or_before_it
        lines_of_a_run_that_is_gone_are_passed_over
    }
    anew {
        a_run_goes_on_as_new_and_is_the_same_run
        what_it_wanted_undone_is_handed_on_until_it_ends
        a_failure_after_it_undoes_its_own_and_counts_anew
        of_generations_before_the_last_nothing_is_kept
        only_an_attempt_that_executes_goes_on_as_new
    }
    again {
        a_failed_run_rests_and_begins_again_with_an_empty_journal
        what_belonged_to_the_failed_generation_is_over
        each_delay_is_longer_and_the_last_failure_ends_the_run
        what_is_no_failure_or_not_worth_it_ends_at_once
        a_failed_run_does_not_begin_after_its_deadline
        an_operator_begins_a_resting_run_now_and_a_failed_one_with_all_its_retries
        a_resting_run_is_cancelled_and_times_out_as_any_other
        a_run_is_removed_with_its_generations
    }
    retry {
        a_retry_is_a_new_generation_with_a_new_deadline_and_purse
        a_claim_of_an_earlier_generation_is_refused
        each_generation_owes_its_own_ending
        only_what_ended_without_success_and_belongs_to_nobody_is_retried
        a_purse_that_cannot_be_drawn_is_refused_with_the_limit
        a_retry_and_its_intent_are_one_commit
        what_took_its_hosts_with_it_begins_with_no_crash
    }
    hold {
        a_receivers_wish_holds_everything_that_goes_there
        a_wish_reaches_what_was_due_before_it
        an_address_that_wants_no_more_is_disabled_until_an_operator_retries
        none_overtakes_where_the_order_is_strict
        a_dead_letter_holds_up_nobody
        what_has_no_channel_is_not_given_up
    }
    poll {
        a_plan_stands_where_its_polls_brought_it
        an_answer_that_decides_is_the_entry
        a_plan_ends_when_its_time_is_up_or_its_run_ends
        a_purse_that_has_no_more_ends_a_plan_by_name
        a_plan_is_one_of_several_things_and_the_first_wins
        a_call_of_its_hook_makes_a_plan_due
    }
    hook {
        a_hook_is_known_by_where_it_was_opened_and_by_its_token
        a_call_ends_the_wait_for_it_and_is_told_once
        a_call_that_comes_early_is_kept
        a_wait_for_a_call_times_out_and_the_hook_stays_open
        a_call_is_one_of_several_things_to_wait_for
        nobody_calls_a_hook_that_is_closed_or_whose_run_has_ended
        a_run_opens_so_many_hooks_and_no_more
    }
    schedule {
        a_delayed_run_is_ready_when_its_instant_has_come
        an_instant_that_has_passed_is_at_once
        a_delayed_run_ends_with_its_parent_and_outlives_its_host
        an_instant_of_a_schedule_makes_one_run
        a_schedule_that_is_new_or_changed_begins_now
    }
    recovery {
        an_executing_attempt_is_counted_as_a_crash_and_goes_on
        a_run_that_takes_its_hosts_with_it_ends
        a_tree_that_takes_its_hosts_with_it_ends_whole
        a_parked_parent_is_no_crash_when_its_child_crashed_once_too_often
        a_parked_attempt_is_evicted_without_a_crash
        a_wait_outlives_its_host
        a_delivery_under_way_is_tried_again_and_noted_as_ambiguous
        an_interrupted_attempt_is_no_crash
        the_sweep_pages_through_what_is_queued
    }
    version {
        a_version_is_needed_as_long_as_a_run_lives_on_it
        the_runs_of_a_version_are_cancelled_some_at_a_time
        the_plugins_of_a_host_are_noted
        how_a_plugin_fails_is_noted_until_it_is_lifted
    }
    retention {
        a_run_goes_when_it_ended_long_enough_ago
        a_long_journal_goes_in_pieces_from_its_end
        a_tree_goes_when_all_of_it_is_old
        a_child_stays_as_long_as_the_runs_above_it
        what_is_owed_keeps_its_run
        an_event_makes_no_second_run_within_the_window
        a_dedupe_key_finds_its_run_within_the_window
        a_conversation_goes_with_its_last_run
        a_file_is_linked_by_whoever_may_need_it
        what_changed_since_it_was_found_stays
    }
}
