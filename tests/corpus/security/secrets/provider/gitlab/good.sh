curl -H "PRIVATE-TOKEN: $GITLAB_TOKEN" https://gitlab.example.com
curl -H "PRIVATE-TOKEN: <your_access_token>" https://gitlab.example.com
