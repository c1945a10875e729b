const commit = '0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c';
const kind = 'application_with_a_long_name_And_Words_123';
