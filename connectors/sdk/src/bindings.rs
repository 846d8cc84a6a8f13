//! Bindings that are generated from the contract: one set for each step, so that a component exports just the steps that it
//! implements. Types are shared between them. Capabilities that a connector does not call are not imported by it.
#![expect(missing_docs, reason = "generated from the contract, which documents every item")]
#![allow(unreachable_pub, reason = "generated code")]

pub mod capabilities {
    wit_bindgen::generate!({
        path: "../../wit/connector",
        inline: "
            package raito:sdk;
            world capabilities {
                import raito:connector/http@0.1.0;
                import raito:connector/sql@0.1.0;
                import raito:connector/ldap@0.1.0;
                import raito:connector/state@0.1.0;
                import raito:connector/log@0.1.0;
                import raito:connector/clock@0.1.0;
                import raito:connector/types@0.1.0;
                import raito:connector/access@0.1.0;
            }
        ",
        world: "raito:sdk/capabilities",
        generate_all,
    });
}

pub mod identity_store {
    wit_bindgen::generate!({
        path: "../../wit/connector",
        inline: "
            package raito:sdk;
            world identity-store {
                export raito:connector/identity-store@0.1.0;
            }
        ",
        world: "raito:sdk/identity-store",
        with: {
            "raito:connector/types@0.1.0": crate::bindings::capabilities::raito::connector::types,
            "raito:connector/access@0.1.0": crate::bindings::capabilities::raito::connector::access,
        },
        pub_export_macro: true,
        export_macro_name: "export_identity_store",
        default_bindings_module: "raito_sdk::bindings::identity_store",
    });
}

pub mod data_source {
    wit_bindgen::generate!({
        path: "../../wit/connector",
        inline: "
            package raito:sdk;
            world data-source {
                export raito:connector/data-source@0.1.0;
            }
        ",
        world: "raito:sdk/data-source",
        with: {
            "raito:connector/types@0.1.0": crate::bindings::capabilities::raito::connector::types,
        },
        pub_export_macro: true,
        export_macro_name: "export_data_source",
        default_bindings_module: "raito_sdk::bindings::data_source",
    });
}

pub mod access_from_target {
    wit_bindgen::generate!({
        path: "../../wit/connector",
        inline: "
            package raito:sdk;
            world access-from-target {
                export raito:connector/access-from-target@0.1.0;
            }
        ",
        world: "raito:sdk/access-from-target",
        with: {
            "raito:connector/types@0.1.0": crate::bindings::capabilities::raito::connector::types,
            "raito:connector/access@0.1.0": crate::bindings::capabilities::raito::connector::access,
        },
        pub_export_macro: true,
        export_macro_name: "export_access_from_target",
        default_bindings_module: "raito_sdk::bindings::access_from_target",
    });
}

pub mod access_to_target {
    wit_bindgen::generate!({
        path: "../../wit/connector",
        inline: "
            package raito:sdk;
            world access-to-target {
                export raito:connector/access-to-target@0.1.0;
            }
        ",
        world: "raito:sdk/access-to-target",
        with: {
            "raito:connector/types@0.1.0": crate::bindings::capabilities::raito::connector::types,
            "raito:connector/access@0.1.0": crate::bindings::capabilities::raito::connector::access,
        },
        pub_export_macro: true,
        export_macro_name: "export_access_to_target",
        default_bindings_module: "raito_sdk::bindings::access_to_target",
    });
}

pub mod data_usage {
    wit_bindgen::generate!({
        path: "../../wit/connector",
        inline: "
            package raito:sdk;
            world data-usage {
                export raito:connector/data-usage@0.1.0;
            }
        ",
        world: "raito:sdk/data-usage",
        with: {
            "raito:connector/types@0.1.0": crate::bindings::capabilities::raito::connector::types,
        },
        pub_export_macro: true,
        export_macro_name: "export_data_usage",
        default_bindings_module: "raito_sdk::bindings::data_usage",
    });
}
