//! Bindings that the runtime generates from the contract. Nothing here is trusted: values of these types come from guests,
//! and `lift` turns them into records. They can be serialised, for `raw`: what is read back is as little trusted.

wasmtime::component::bindgen!({
    path: "../../wit/connector",
    world: "all",
    imports: { default: async | trappable },
    exports: { default: async },
    with: {
        "raito:connector/http.body": crate::state::OpenBody,
        "raito:connector/sql.rows": crate::state::OpenRows,
        "raito:connector/ldap.entries": crate::state::OpenEntries,
    },
    additional_derives: [serde::Serialize, serde::Deserialize],
    require_store_data_send: true,
});
