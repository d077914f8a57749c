//! Every story on every driver, plain and over TLS.

#![allow(unreachable_pub, reason = "the macros below name the stories")]

mod calls;
#[path = "../../drivers/core/tests/common/certificates.rs"]
mod certificates;
mod container;
mod driver;
mod rough;
mod server;
mod transcript;

use driver::{AsyncStd, Mio, Std, Tokio};

/// Makes a test of each story for each driver.
macro_rules! on_every_driver {
    ($from:ident: $($story:ident)*) => {
        mod std { $(#[test] fn $story() { crate::$from::$story::<crate::Std>(); })* }
        mod mio { $(#[test] fn $story() { crate::$from::$story::<crate::Mio>(); })* }
        on_every_runtime!($from: $($story)*);
    };
}

/// Makes a test of each story for each driver of an async runtime.
macro_rules! on_every_runtime {
    ($from:ident: $($story:ident)*) => {
        mod tokio { $(#[test] fn $story() { crate::$from::$story::<crate::Tokio>(); })* }
        mod async_std { $(#[test] fn $story() { crate::$from::$story::<crate::AsyncStd>(); })* }
    };
}

mod containers {
    on_every_driver!(container:
        hello_world_by_a_server
        both_ends_in_one_container
        both_ends_in_one_container_over_tls
        a_refused_connection_is_told_in_one_line
        a_port_in_use_is_told_in_one_line
        x2_what_needs_tls_is_never_served_in_plain_text
        an_unknown_host_is_told_in_one_line
        a_wrong_password_is_told_in_one_line
        the_end_of_a_stream_and_a_reset_are_told
        a_peer_that_sends_no_more_and_reads_on_gets_the_last_word
        a_2_a_peer_that_does_not_read_holds_up_nobody_else
        a_3_connections_come_and_go_without_a_trace
        c_06_events_come_from_any_thread_and_wake_the_loop
        nothing_that_was_sent_before_a_close_is_lost
        many_connections_share_what_is_sent
    );
}

mod steps {
    #[test]
    fn c_04_a_step_takes_no_longer_than_it_is_given_on_std() {
        crate::container::c_04_a_step_takes_no_longer_than_it_is_given::<crate::Std>();
    }

    #[test]
    fn c_04_a_step_takes_no_longer_than_it_is_given_on_mio() {
        crate::container::c_04_a_step_takes_no_longer_than_it_is_given::<crate::Mio>();
    }
}

mod transcripts {
    on_every_driver!(transcript: n_02_the_transcript_is_the_same);
}

mod rough_sockets {
    on_every_driver!(rough: a4_bytes_that_come_one_at_a_time_and_wakings_without_cause_lose_nothing);
    mod by_themselves {
        on_every_runtime!(rough: a4_sockets_that_do_as_little_as_they_may_lose_nothing);
    }
}

mod awaited {
    on_every_runtime!(calls:
        hello_world
        every_message_gets_the_outcome_that_its_receiver_gives
        messages_of_all_sizes_come_back_as_they_went
        many_messages_may_be_on_their_way
        w_14_a_message_is_written_and_read_in_pieces
        w_14_a_message_given_up_in_the_middle_never_was
        l_01_all_three_guarantees
        several_tasks_share_a_connection
        deliveries_are_a_stream
        credit_is_given_by_hand_and_drained
        sessions_end_with_their_links_and_no_others
        a_service_is_asked
        r_07_every_call_has_a_deadline
        a_link_that_is_refused_is_told_and_harms_no_other
        users_are_told_what_is_wrong
        c_10_a_connection_that_breaks_ends_every_call
        l3_futures_that_are_dropped_lose_nothing
        l3_a_runtime_that_stops_ends_every_call
        a_connection_stays_alive_while_nobody_calls
        tls_carries_it_all
    );
}
