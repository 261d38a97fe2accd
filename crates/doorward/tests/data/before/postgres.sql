CREATE TABLE audit (
    id bytea NOT NULL,
    created_at bigint NOT NULL,
    action text NOT NULL,
    actor text NOT NULL,
    user_id bytea,
    actor_id bytea,
    session_id bytea,
    ip text,
    detail text,
    occurrences bigint DEFAULT 1 NOT NULL,
    fold_key bytea,
    CONSTRAINT audit_id_check CHECK ((length(id) = 16))
);
CREATE TABLE ballast (
    id bigint NOT NULL,
    content bytea NOT NULL
);
CREATE TABLE clients (
    id bytea NOT NULL,
    name text NOT NULL,
    secret_hash bytea NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT clients_id_check CHECK ((length(id) = 16))
);
CREATE TABLE devices (
    hash bytea NOT NULL,
    user_id bytea NOT NULL,
    used_at bigint NOT NULL
);
CREATE TABLE facts (
    name text NOT NULL,
    value bigint NOT NULL
);
CREATE TABLE form_posts (
    hash bytea NOT NULL,
    owner text NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    done_at bigint,
    session_id bytea,
    made_id bytea,
    outcome text,
    CONSTRAINT form_posts_hash_check CHECK ((length(hash) = 32))
);
CREATE TABLE former_credentials (
    session_id bytea NOT NULL,
    secret_hash bytea,
    salt bytea NOT NULL,
    is_over bigint NOT NULL,
    expires_at bigint NOT NULL,
    CONSTRAINT former_credentials_session_id_check CHECK ((length(session_id) = 16))
);
CREATE TABLE migrations (
    version bigint NOT NULL,
    checksum bytea NOT NULL,
    applied_at bigint NOT NULL
);
CREATE TABLE one_time_links (
    hash bytea NOT NULL,
    id bytea NOT NULL,
    purpose text NOT NULL,
    user_id bytea,
    email text,
    role text,
    maker_id bytea,
    maker_session_id bytea,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    used_at bigint,
    CONSTRAINT one_time_links_check CHECK (((purpose <> 'reset'::text) OR (user_id IS NOT NULL))),
    CONSTRAINT one_time_links_id_check CHECK ((length(id) = 16)),
    CONSTRAINT one_time_links_purpose_check CHECK ((purpose = ANY (ARRAY['reset'::text, 'invite'::text])))
);
CREATE TABLE revocations (
    session_id bytea NOT NULL,
    user_id bytea NOT NULL,
    reason text NOT NULL,
    "position" bigint NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    CONSTRAINT revocations_session_id_check CHECK ((length(session_id) = 16))
);
CREATE TABLE role_changes (
    user_id bytea NOT NULL,
    role text NOT NULL,
    version bigint NOT NULL,
    "position" bigint NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    CONSTRAINT role_changes_user_id_check CHECK ((length(user_id) = 16))
);
CREATE TABLE sessions (
    id bytea NOT NULL,
    user_id bytea NOT NULL,
    mode text NOT NULL,
    created_at bigint NOT NULL,
    last_seen_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    absolute_expires_at bigint NOT NULL,
    ip text,
    user_agent text,
    secret_hash bytea,
    salt bytea,
    generation bigint DEFAULT 0 NOT NULL,
    rotated_at bigint,
    replays bigint DEFAULT 0 NOT NULL,
    confirmed_at bigint,
    ended_at bigint,
    end_reason text,
    CONSTRAINT sessions_id_check CHECK ((length(id) = 16)),
    CONSTRAINT sessions_mode_check CHECK ((mode = ANY (ARRAY['bearer'::text, 'cookie'::text, 'session'::text])))
);
CREATE TABLE signing_keys (
    kid text NOT NULL,
    algorithm text NOT NULL,
    private_key bytea NOT NULL,
    public_jwk text NOT NULL,
    created_at bigint NOT NULL,
    activates_at bigint NOT NULL,
    retires_at bigint,
    removed_at bigint
);
CREATE TABLE users (
    id bytea NOT NULL,
    name text NOT NULL,
    name_folded text NOT NULL,
    email text NOT NULL,
    email_folded text NOT NULL,
    email_vouched_by text,
    role text NOT NULL,
    role_version bigint DEFAULT 0 NOT NULL,
    password_hash text,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    disabled_at bigint,
    CONSTRAINT users_email_vouched_by_check CHECK ((email_vouched_by = ANY (ARRAY['admin'::text, 'invitation'::text, 'command_line'::text]))),
    CONSTRAINT users_id_check CHECK ((length(id) = 16))
);
INSERT INTO audit VALUES ('\x01a22c8db29e7a9a9a5e545d78164f8f', 1796043813534957, 'user_created', 'command_line', '\x01a22c8db29e723ea24c3384bf6365a0', NULL, NULL, NULL, 'role admin', 1, NULL);
INSERT INTO audit VALUES ('\x01a22c8db39f79a4ace6ab9cd23016c8', 1796043813791369, 'register', 'owner', '\x01a22c8db338707aa063829a439e6683', NULL, '\x01a22c8db39f791aba79b435e482ae3d', '127.0.0.1', NULL, 1, NULL);
INSERT INTO audit VALUES ('\x01a22c8db4aa7694ae67cd58ca95d495', 1796043814058206, 'login', 'owner', '\x01a22c8db338707aa063829a439e6683', NULL, '\x01a22c8db4aa73df9f78443bc7e0d366', '127.0.0.1', NULL, 1, NULL);
INSERT INTO audit VALUES ('\x01a22c8db5ea7f25940cca183ff1503d', 1796043814378161, 'login', 'owner', '\x01a22c8db338707aa063829a439e6683', NULL, '\x01a22c8db5ea72669fdcf20055497e96', '127.0.0.1', NULL, 1, NULL);
INSERT INTO audit VALUES ('\x01a22c8db69c7375bfe43f34866d8ebf', 1796043814556757, 'login', 'owner', '\x01a22c8db338707aa063829a439e6683', NULL, '\x01a22c8db69c7f1db67c5b4043684070', '127.0.0.1', NULL, 1, NULL);
INSERT INTO audit VALUES ('\x01a22c8db6af767d9d680c7d585d9568', 1796043814575368, 'logout', 'owner', '\x01a22c8db338707aa063829a439e6683', NULL, '\x01a22c8db69c7f1db67c5b4043684070', '127.0.0.1', NULL, 1, NULL);
INSERT INTO audit VALUES ('\x01a22c8db816763c991961705be4c3bc', 1796043814934984, 'register', 'owner', '\x01a22c8db6b57a75a0b2cd11291a5e90', NULL, '\x01a22c8db8167d8aab5b228b8f595d87', '127.0.0.1', NULL, 1, NULL);
INSERT INTO audit VALUES ('\x01a22c8db939730bba5d00ef13796165', 1796043815225199, 'register', 'owner', '\x01a22c8db82a7b0a83ceec8bee80b976', NULL, '\x01a22c8db939792eadad74dc6aad4062', '127.0.0.1', NULL, 1, NULL);
INSERT INTO audit VALUES ('\x01a22c8dba75767facbbfcc53f93e5e0', 1796043815541015, 'login', 'owner', '\x01a22c8db29e723ea24c3384bf6365a0', NULL, '\x01a22c8dba7571e3a7b72d279347b490', '127.0.0.1', NULL, 1, NULL);
INSERT INTO audit VALUES ('\x01a22c8dbbde799b9fc42afc5c500dc6', 1796043815902496, 'user_changed', 'admin', '\x01a22c8db6b57a75a0b2cd11291a5e90', '\x01a22c8db29e723ea24c3384bf6365a0', NULL, '127.0.0.1', 'disabled', 1, NULL);
INSERT INTO audit VALUES ('\x01a22c8dbd4a7353b564d9e7fb4f8a38', 1796043816266029, 'user_changed', 'admin', '\x01a22c8db82a7b0a83ceec8bee80b976', '\x01a22c8db29e723ea24c3384bf6365a0', NULL, '127.0.0.1', 'role admin', 1, NULL);
INSERT INTO audit VALUES ('\x01a22c8dbef17480b064714ea0b4202a', 1796043816689685, 'reset_link_made', 'admin', '\x01a22c8db338707aa063829a439e6683', '\x01a22c8db29e723ea24c3384bf6365a0', NULL, '127.0.0.1', NULL, 1, NULL);
INSERT INTO audit VALUES ('\x01a22c8dbf907fb49b59498c667f09e9', 1796043816848941, 'invitation_made', 'admin', NULL, '\x01a22c8db29e723ea24c3384bf6365a0', NULL, '127.0.0.1', 'role user', 1, NULL);
INSERT INTO audit VALUES ('\x01a22c8dc12b7cfc9d1e1c03811463c0', 1796043817259461, 'client_created', 'admin', NULL, '\x01a22c8db29e723ea24c3384bf6365a0', NULL, '127.0.0.1', '01a22c8d-c12b-7533-8030-33136cf0b5e2', 1, NULL);
INSERT INTO clients VALUES ('\x01a22c8dc12b7533803033136cf0b5e2', 'Books', '\xac1340a7750be3b1fdb1a596741eeafa77a26cf6b2799d67a53d8d1afcda5397', 1796043817259461);
INSERT INTO devices VALUES ('\xe62b5068b7cda9c6d139322762cd78462374cb7bdd7f06d1ba464506982a48c9', '\x01a22c8db338707aa063829a439e6683', 1796043813791369);
INSERT INTO devices VALUES ('\xaef8d3a8753697341a14f9c48626977c5a012853bb278adfdf30bf1f9d5fa89c', '\x01a22c8db338707aa063829a439e6683', 1796043814058206);
INSERT INTO devices VALUES ('\xa4037785b775adb6a5dafbf7f8fbc36cfd41c0e31465b227aeaacd526c4132c7', '\x01a22c8db338707aa063829a439e6683', 1796043814378161);
INSERT INTO devices VALUES ('\xf7597a75320a6173c870ccf1722ed56fc4a9471e9fbf13576fdcabf056e536d0', '\x01a22c8db338707aa063829a439e6683', 1796043814556757);
INSERT INTO devices VALUES ('\xbe6eadac3db7bd44f5652321e8159649df7bfc891b8fee9efa597482cf5078c6', '\x01a22c8db6b57a75a0b2cd11291a5e90', 1796043814934984);
INSERT INTO devices VALUES ('\x1635000d361eed814458929b11ca7a6ab0aff4e2a3e5ac16dfca1d21c33e49bf', '\x01a22c8db82a7b0a83ceec8bee80b976', 1796043815225199);
INSERT INTO devices VALUES ('\x3bb87756580684843aaf1e04943bb6d3993cc10dd573ed53d9bb8ae95ec1c271', '\x01a22c8db29e723ea24c3384bf6365a0', 1796043815541015);
INSERT INTO facts VALUES ('root_fingerprint', -1774404407311878340);
INSERT INTO facts VALUES ('feed_epoch', -2760975428679587215);
INSERT INTO facts VALUES ('max_access_ttl', 900);
INSERT INTO facts VALUES ('admins_lock', 2);
INSERT INTO facts VALUES ('revocation_position', 3);
INSERT INTO facts VALUES ('trial_writes', 9);
INSERT INTO facts VALUES ('clients_version', 1);
INSERT INTO migrations VALUES (1, '\x568490fc0920029057f5eeda1feb229a5a5a124d75ed73b7b203974c66516b41', 1796043812630049);
INSERT INTO migrations VALUES (2, '\x551b461e641b106344141c999a543184842cc383d7d91b62ca3e81f7d21cbb3d', 1796043812630049);
INSERT INTO one_time_links VALUES ('\x958cb32c6ed4f9505652eec0437f02530059d6259f662beaef040488e1267aae', '\x01a22c8dbef170bb9bce5f58dd01bd04', 'reset', '\x01a22c8db338707aa063829a439e6683', NULL, NULL, '\x01a22c8db29e723ea24c3384bf6365a0', '\x01a22c8dba7571e3a7b72d279347b490', 1796043816689662, 1796047416689662, NULL);
INSERT INTO one_time_links VALUES ('\x8479e63520f8beecc6608c4eddaa19961abe2d23597297fa7dd47ad4d104840d', '\x01a22c8dbf907150bd0164ee48b532fb', 'invite', NULL, 'ivy@example.org', 'user', '\x01a22c8db29e723ea24c3384bf6365a0', '\x01a22c8dba7571e3a7b72d279347b490', 1796043816848910, 1796648616848910, NULL);
INSERT INTO revocations VALUES ('\x01a22c8db69c7f1db67c5b4043684070', '\x01a22c8db338707aa063829a439e6683', 'logout', 1, 1796043814575378, 1796045314575378);
INSERT INTO role_changes VALUES ('\x01a22c8db6b57a75a0b2cd11291a5e90', 'user', 1, 2, 1796043815902496, 1796045315902496);
INSERT INTO role_changes VALUES ('\x01a22c8db82a7b0a83ceec8bee80b976', 'admin', 1, 3, 1796043816266029, 1796045316266029);
INSERT INTO sessions VALUES ('\x01a22c8db39f791aba79b435e482ae3d', '\x01a22c8db338707aa063829a439e6683', 'bearer', 1796043813791369, 1796043813822592, 1798635813822592, 1803819813791369, '127.0.0.1', 'Python-urllib/3.11', NULL, '\x2e061ca15c9c52f710a8ce6a0826701e', 1, 1796043813822592, 0, NULL, NULL, NULL);
INSERT INTO sessions VALUES ('\x01a22c8db4aa73df9f78443bc7e0d366', '\x01a22c8db338707aa063829a439e6683', 'session', 1796043814058206, 1796043814058206, 1796648614058206, 1803819814058206, '127.0.0.1', 'Python-urllib/3.11', '\x1c43634c8102298453c7207286cb57b74cefe9113dbcc302ecd0fb5f9d0a364f', '\x6044b1219a53371cb7c981f83194ef62', 0, NULL, 0, NULL, NULL, NULL);
INSERT INTO sessions VALUES ('\x01a22c8db5ea72669fdcf20055497e96', '\x01a22c8db338707aa063829a439e6683', 'cookie', 1796043814378161, 1796043814378161, 1798635814378161, 1803819814378161, '127.0.0.1', 'Python-urllib/3.11', NULL, '\x39bb6a7b86e0b74f4b5ea8ba9641f772', 0, NULL, 0, NULL, NULL, NULL);
INSERT INTO sessions VALUES ('\x01a22c8db69c7f1db67c5b4043684070', '\x01a22c8db338707aa063829a439e6683', 'bearer', 1796043814556757, 1796043814556757, 1798635814556757, 1803819814556757, '127.0.0.1', 'Python-urllib/3.11', NULL, '\x4dafa3b0d4945e5fa93f3a68a323485c', 0, NULL, 0, NULL, 1796043814575378, 'logout');
INSERT INTO sessions VALUES ('\x01a22c8db8167d8aab5b228b8f595d87', '\x01a22c8db6b57a75a0b2cd11291a5e90', 'bearer', 1796043814934984, 1796043814934984, 1798635814934984, 1803819814934984, '127.0.0.1', 'Python-urllib/3.11', NULL, '\x5877f0e957752d8413e37ad28ac280bd', 0, NULL, 0, NULL, 1796043815902496, 'disabled');
INSERT INTO sessions VALUES ('\x01a22c8db939792eadad74dc6aad4062', '\x01a22c8db82a7b0a83ceec8bee80b976', 'bearer', 1796043815225199, 1796043815225199, 1796087015225199, 1796087015225199, '127.0.0.1', 'Python-urllib/3.11', NULL, '\xfe7da51b07079ad85dcfd5ae4f04e4b8', 0, NULL, 0, NULL, NULL, NULL);
INSERT INTO sessions VALUES ('\x01a22c8dba7571e3a7b72d279347b490', '\x01a22c8db29e723ea24c3384bf6365a0', 'bearer', 1796043815541015, 1796043815541015, 1796087015541015, 1796087015541015, '127.0.0.1', 'Python-urllib/3.11', NULL, '\x1b57bc3309cb91c5cc0656a414fb6058', 0, NULL, 0, NULL, NULL, NULL);
INSERT INTO signing_keys VALUES ('EyOx1LayJJT9-Dj26zqB7lO92Gwcsnx6e9jbQ7zHTqA', 'ES256', '\x481bdbaea33e2acf2fd73d06a0eaf7a8141c9f8a06dd6bef73a56ddc508ce0f9a533840776f27f771031d41bfeae4e46dc958cc47296a3783cad9f03caebafb1fe14f3ebe7d0d3101999b8ef8fc98e499d6209bab377e29bb829becce857f08c9712a6eee14ec1a729839f4fe9a023ab58784fbd9860a69c82b4adcf22aa18bcc2791264f4261cd35858c295e705901888c54e56e0650ac5bd5633dafb8f5054e53e628c9195', '{"kty":"EC","crv":"P-256","x":"p8sCy7bvn4GQXidPqMs0XQfmGDUhMm4b-tj-xKES5dY","y":"FCiL4Xgp1MOsIJwljc0sqhNc7TI6OVR8LeKk35TVG40","kid":"EyOx1LayJJT9-Dj26zqB7lO92Gwcsnx6e9jbQ7zHTqA","use":"sig","alg":"ES256"}', 1796043812630049, 1796043812630049, NULL, NULL);
INSERT INTO users VALUES ('\x01a22c8db6b57a75a0b2cd11291a5e90', 'Eve', 'eve', 'eve@example.org', 'eve@example.org', NULL, 'user', 1, '$2b$10$82qzkJsK/dSVhDrfXmUqU.pwxuQLr4gt4.dauifSDPJRxRDJeUnj.', 1796043814935004, 1796043815902496, 1796043815902496);
INSERT INTO users VALUES ('\x01a22c8db82a7b0a83ceec8bee80b976', 'Bob', 'bob', 'bob@example.org', 'bob@example.org', NULL, 'admin', 1, '$2b$10$QiCFj.5wMCSYaGV0Zz94Su/YTBhlT14EmAIdax93yDNHFxJ/pTvmi', 1796043815225229, 1796043816266029, NULL);
INSERT INTO users VALUES ('\x01a22c8db338707aa063829a439e6683', 'Ada', 'ada', 'ada@example.org', 'ada@example.org', NULL, 'user', 0, '$2b$10$mmKtrPM/bTFmpSRAJLUvI.P3Tc2x3.cCwMl9gIdW9jTjj065r0aCe', 1796043813791399, 1796043813791399, NULL);
INSERT INTO users VALUES ('\x01a22c8db29e723ea24c3384bf6365a0', 'Grace', 'grace', 'grace@example.org', 'grace@example.org', 'command_line', 'admin', 0, '$2b$10$/vRejdALJmm5Mx0uZt4LA.u4SbIYtTtypNyuRAiVcbHmE19QtIRH2', 1796043813534957, 1796043813534957, NULL);
ALTER TABLE ONLY audit
    ADD CONSTRAINT audit_fold_key_key UNIQUE (fold_key);
ALTER TABLE ONLY audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);
ALTER TABLE ONLY ballast
    ADD CONSTRAINT ballast_pkey PRIMARY KEY (id);
ALTER TABLE ONLY clients
    ADD CONSTRAINT clients_pkey PRIMARY KEY (id);
ALTER TABLE ONLY devices
    ADD CONSTRAINT devices_pkey PRIMARY KEY (hash);
ALTER TABLE ONLY facts
    ADD CONSTRAINT facts_pkey PRIMARY KEY (name);
ALTER TABLE ONLY form_posts
    ADD CONSTRAINT form_posts_pkey PRIMARY KEY (hash);
ALTER TABLE ONLY former_credentials
    ADD CONSTRAINT former_credentials_pkey PRIMARY KEY (session_id, salt);
ALTER TABLE ONLY former_credentials
    ADD CONSTRAINT former_credentials_secret_hash_key UNIQUE (secret_hash);
ALTER TABLE ONLY migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (version);
ALTER TABLE ONLY one_time_links
    ADD CONSTRAINT one_time_links_id_key UNIQUE (id);
ALTER TABLE ONLY one_time_links
    ADD CONSTRAINT one_time_links_pkey PRIMARY KEY (hash);
ALTER TABLE ONLY revocations
    ADD CONSTRAINT revocations_pkey PRIMARY KEY (session_id);
ALTER TABLE ONLY role_changes
    ADD CONSTRAINT role_changes_pkey PRIMARY KEY (user_id);
ALTER TABLE ONLY sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY sessions
    ADD CONSTRAINT sessions_secret_hash_key UNIQUE (secret_hash);
ALTER TABLE ONLY signing_keys
    ADD CONSTRAINT signing_keys_pkey PRIMARY KEY (kid);
ALTER TABLE ONLY users
    ADD CONSTRAINT users_email_key UNIQUE (email);
ALTER TABLE ONLY users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);
CREATE INDEX audit_by_actor ON audit USING btree (actor_id, id);
CREATE INDEX audit_by_user ON audit USING btree (user_id, id);
CREATE INDEX devices_by_use ON devices USING btree (used_at);
CREATE INDEX devices_by_user ON devices USING btree (user_id, used_at);
CREATE INDEX form_posts_by_expiry ON form_posts USING btree (expires_at);
CREATE INDEX form_posts_by_owner ON form_posts USING btree (owner);
CREATE INDEX former_credentials_by_expiry ON former_credentials USING btree (expires_at);
CREATE INDEX one_time_links_by_maker ON one_time_links USING btree (maker_id);
CREATE INDEX one_time_links_by_session ON one_time_links USING btree (maker_session_id);
CREATE INDEX one_time_links_by_user ON one_time_links USING btree (user_id);
CREATE INDEX revocations_by_expiry ON revocations USING btree (expires_at);
CREATE INDEX revocations_by_position ON revocations USING btree ("position");
CREATE INDEX role_changes_by_position ON role_changes USING btree ("position");
CREATE INDEX sessions_by_end ON sessions USING btree (absolute_expires_at);
CREATE INDEX sessions_by_user ON sessions USING btree (user_id, ended_at, created_at);
CREATE INDEX users_by_role ON users USING btree (role, id);
ALTER TABLE ONLY devices
    ADD CONSTRAINT devices_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE;
ALTER TABLE ONLY one_time_links
    ADD CONSTRAINT one_time_links_maker_id_fkey FOREIGN KEY (maker_id) REFERENCES users(id) ON DELETE CASCADE;
ALTER TABLE ONLY one_time_links
    ADD CONSTRAINT one_time_links_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE;
ALTER TABLE ONLY sessions
    ADD CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE;
